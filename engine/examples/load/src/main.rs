//! Real sockets on loopback: as many Server-Sent Events connections as the machine carries, broadcasts through them, and what of the cost is the
//! engine's. `cargo run --release -p holocast-load -- --connections 10000`.
//!
//! `serve.rs` is the server, a process of its own; `listen.rs` its clients, which count and time every delivery; `alone.rs` does the same work
//! without sockets; `system.rs` asks the kernel.

mod alone;
mod listen;
mod serve;
mod system;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use clap::{Args, Parser, Subcommand};

/// How much of what.
#[derive(Debug, Clone, Args)]
struct Load {
    /// Connections, each a tab of its own
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    connections: u32,
    /// Channels; connections are spread over them evenly
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rooms: u32,
    /// Broadcasts a second, all rooms together
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// How long is broadcast
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Bytes of text in each broadcast
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    payload: u32,
}

#[derive(Debug, Parser)]
#[command(
    about = "Server-Sent Events through real sockets on loopback, counted and timed",
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    load: Load,
    /// Write the figures as JSON, too
    #[arg(long, value_name = "FILE")]
    json: Option<std::path::PathBuf>,
}

/// What the command starts by itself, as processes of their own.
#[derive(Debug, Subcommand)]
enum Part {
    /// Only the server
    Serve(Load),
    /// Only the engine's part, without sockets
    Alone(Load),
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match &cli.part {
        Some(Part::Serve(load)) => serve::run(load),
        Some(Part::Alone(load)) => alone::run(load),
        None => measure(&cli),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("holocast-load: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Starts both parts, one after the other, and prints what they did.
fn measure(cli: &Cli) -> Result<(), Failure> {
    let load = &cli.load;
    system::allow_files(u64::from(load.connections) + 100)?;
    let mut alone = part("alone", load)?;
    let of_engine: alone::Figures = serde_json::from_str(&first_line(&mut alone)?)?;
    alone.wait()?;
    let mut server = part("serve", load)?;
    let address = first_line(&mut server)?.parse()?;
    let listened = listen::run(load, address, server.id());
    // It has nothing to keep.
    server.kill()?;
    server.wait()?;
    let listened = listened?;
    print!("{}", report(load, &listened, &of_engine));
    if let Some(path) = &cli.json {
        let figures = serde_json::json!({ "load": format!("{load:?}"), "through_sockets": listened, "engine_alone": of_engine });
        std::fs::write(path, figures.to_string())?;
    }
    match listened.fault() {
        Some(fault) => Err(fault.into()),
        None => Ok(()),
    }
}

fn part(name: &str, load: &Load) -> Result<Child, Failure> {
    let Load { connections, rooms, rate, seconds, payload } = load;
    let options = [
        ("connections", connections),
        ("rooms", rooms),
        ("rate", rate),
        ("seconds", seconds),
        ("payload", payload),
    ];
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(name).args(options.map(|(option, value)| format!("--{option}={value}")));
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

fn first_line(child: &mut Child) -> Result<String, Failure> {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().ok_or("a part has no output")?).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn report(load: &Load, listened: &listen::Figures, alone: &alone::Figures) -> String {
    let listen::Figures {
        received, broadcasts, seconds_to_connect, latency_us, server, kernel_bytes, ..
    } = listened;
    let per_connection = server.resident_bytes as f64 / f64::from(load.connections);
    let per_delivery_us = server.processor_us as f64 / (*received).max(1) as f64;
    let engine_us = (alone.publish_ns + alone.take_ns) / 1e3;
    let encode_us = alone.encode_ns / 1e3;
    let percent = |part: f64, whole: f64| 100.0 * part / whole;
    format!(
        "{} connections in {seconds_to_connect:.1} s; {broadcasts} broadcasts of {} bytes in {} rooms, {} a second: {received} deliveries, \
         all counted\n\
         latency, from the planned time to the client's hand, in ms: p50 {:.2}, p90 {:.2}, p99 {:.2}, p99.9 {:.2}, most {:.2}\n\
         memory of the server for a connection: {per_connection:.0} bytes, of which the engine {:.0} ({:.0} %); the kernel {:.0} for both ends\n\
         processor time of the server for a delivery: {per_delivery_us:.2} us, of which the engine {engine_us:.3} ({:.1} %), \
         the framing {encode_us:.3} ({:.1} %)\n",
        load.connections,
        load.payload,
        load.rooms,
        load.rate,
        latency_us[0] / 1e3,
        latency_us[1] / 1e3,
        latency_us[2] / 1e3,
        latency_us[3] / 1e3,
        latency_us[4] / 1e3,
        alone.bytes,
        percent(alone.bytes, per_connection),
        *kernel_bytes as f64 / f64::from(load.connections),
        percent(engine_us, per_delivery_us),
        percent(encode_us, per_delivery_us),
    )
}
