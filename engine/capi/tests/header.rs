//! The header is what cbindgen makes of the package.

use std::path::Path;

/// Set, the header is written instead of compared.
const RENEW: &str = "HOLOCAST_RENEW_HEADER";

#[test]
fn the_header_is_that_of_the_package() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(package.join("cbindgen.toml")).expect("cbindgen.toml is read");
    // From the root file it goes to the modules; to find that by itself it would run cargo.
    let builder = cbindgen::Builder::new().with_config(config).with_src(package.join("src/lib.rs"));
    let mut made = Vec::new();
    builder.generate().expect("the package has an interface").write(&mut made);
    let (made, path) = (String::from_utf8(made).expect("text"), package.join("include/holocast.h"));
    if std::env::var_os(RENEW).is_some() {
        std::fs::write(&path, &made).expect("the header is written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = there.lines().zip(made.lines()).position(|(there, made)| there != made);
    assert!(
        there == made,
        "include/holocast.h is not what cbindgen makes, from line {} on; renew it and look at the difference:\n    \
         {RENEW}=1 cargo test -p holocast-capi --test header",
        differs.unwrap_or_else(|| there.lines().count().min(made.lines().count())) + 1,
    );
}
