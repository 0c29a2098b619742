//! Params in their exact form: compact, object keys sorted, every number as it was written.
//!
//! The text comes from a line that the JSON parser has accepted, so only the strings are left to judge. Nothing recurses:
//! a million nested arrays are as good as one.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// The params of a broadcast, rendered once and shared by all its deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params(Box<str>);

impl Params {
    /// No params: `{}`.
    pub fn empty() -> Self {
        Params("{}".into())
    }

    /// Renders a JSON object that has already been found well-formed.
    ///
    /// # Errors
    ///
    /// What is wrong with it: it is no object, or a string in it is no text (a lone surrogate).
    pub fn from_json(json: &str) -> Result<Self, String> {
        if !json.starts_with('{') {
            return Err(format!("expected an object, found {}", super::fields::shown(json)));
        }
        compact(json).map(|text| Params(text.into()))
    }

    /// The exact form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value of the document; containers name their children by position.
enum Node<'a> {
    /// A number, literal or string as it will be written.
    Scalar(Cow<'a, str>),
    Array(Vec<usize>),
    /// Sorted by key, in code points; the last of equal keys counts.
    Object(BTreeMap<Cow<'a, str>, usize>),
}

/// The compact form with sorted keys of well-formed JSON.
///
/// # Errors
///
/// A string with a lone surrogate stands for no text.
pub(super) fn compact(json: &str) -> Result<String, String> {
    let nodes = read(json)?;
    let mut out = String::with_capacity(json.len());
    write(&nodes, &mut out);
    Ok(out)
}

/// The document as a flat list, the root first.
fn read(json: &str) -> Result<Vec<Node<'_>>, String> {
    let bytes = json.as_bytes();
    let mut nodes = Vec::new();
    // The containers that are open, innermost last, each with the key that waits for its value.
    let mut open: Vec<(usize, Option<Cow<'_, str>>)> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let node = match bytes[at] {
            b'[' => {
                at += 1;
                Node::Array(Vec::new())
            }
            b'{' => {
                at += 1;
                Node::Object(BTreeMap::new())
            }
            b']' | b'}' => {
                at += 1;
                open.pop();
                continue;
            }
            b'"' => {
                at = string_end(bytes, at);
                let text = &json[start..at];
                if let Some((container, key @ None)) = open.last_mut()
                    && matches!(nodes.get(*container), Some(Node::Object(_)))
                {
                    *key = Some(unescaped(text)?);
                    continue;
                }
                Node::Scalar(requoted(text)?)
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            _ => {
                let rest = &bytes[at..];
                at += rest.iter().position(|byte| b",]} \t\n\r".contains(byte)).unwrap_or(rest.len());
                Node::Scalar(json[start..at].into())
            }
        };
        let index = nodes.len();
        let opens = !matches!(node, Node::Scalar(_));
        nodes.push(node);
        if let Some((container, key)) = open.last_mut() {
            match &mut nodes[*container] {
                Node::Array(children) => children.push(index),
                Node::Object(children) => {
                    children.insert(key.take().unwrap_or_default(), index);
                }
                Node::Scalar(_) => {}
            }
        }
        if opens {
            open.push((index, None));
        }
    }
    Ok(nodes)
}

/// Where the string that opens at `at` ends, its closing quote included.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() {
        match bytes[end] {
            b'"' => return end + 1,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    bytes.len()
}

/// The text that a quoted string stands for.
fn unescaped(quoted: &str) -> Result<Cow<'_, str>, String> {
    if quoted.contains('\\') {
        serde_json::from_str::<String>(quoted).map(Cow::Owned).map_err(|error| error.to_string())
    } else {
        Ok(Cow::Borrowed(quoted.get(1..quoted.len() - 1).unwrap_or_default()))
    }
}

/// The same string with no escape that it could do without.
fn requoted(quoted: &str) -> Result<Cow<'_, str>, String> {
    if quoted.contains('\\') { Ok(Cow::Owned(quote(&unescaped(quoted)?))) } else { Ok(Cow::Borrowed(quoted)) }
}

fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Writes the first node and all below it.
fn write(nodes: &[Node<'_>], out: &mut String) {
    /// What is still to be written, last first.
    enum Step<'a> {
        Node(usize),
        Key(&'a str),
        Text(&'static str),
    }
    let mut steps = vec![Step::Node(0)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Text(text) => out.push_str(text),
            Step::Key(key) => {
                if key.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
                    out.push_str(&quote(key));
                } else {
                    out.extend(["\"", key, "\""]);
                }
                out.push(':');
            }
            Step::Node(index) => match nodes.get(index) {
                None => {}
                Some(Node::Scalar(text)) => out.push_str(text),
                Some(Node::Array(children)) => {
                    out.push('[');
                    steps.push(Step::Text("]"));
                    for (position, child) in children.iter().enumerate().rev() {
                        steps.push(Step::Node(*child));
                        if position > 0 {
                            steps.push(Step::Text(","));
                        }
                    }
                }
                Some(Node::Object(children)) => {
                    out.push('{');
                    steps.push(Step::Text("}"));
                    for (position, (key, child)) in children.iter().enumerate().rev() {
                        steps.push(Step::Node(*child));
                        steps.push(Step::Key(key));
                        if position > 0 {
                            steps.push(Step::Text(","));
                        }
                    }
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_out_sorted_and_everything_else_as_it_was() {
        for (json, expected) in [
            ("{}", "{}"),
            (r#"{"n":1}"#, r#"{"n":1}"#),
            (
                r#"{ "t" : "x" , "n" : [ 1 , { "b" : null , "a" : true } , [ ] ] }"#,
                r#"{"n":[1,{"a":true,"b":null},[]],"t":"x"}"#,
            ),
            (
                r#"{"a":1.0,"b":1e5,"c":-0,"d":123456789012345678901234567890,"e":1E+2}"#,
                r#"{"a":1.0,"b":1e5,"c":-0,"d":123456789012345678901234567890,"e":1E+2}"#,
            ),
            (r#"{"é":1,"z":2,"\u0061":3,"\ud83d\ude00":4}"#, r#"{"a":3,"z":2,"é":1,"😀":4}"#),
            (r#"{"k":"\u0041\/\n\u001f\"\\"}"#, r#"{"k":"A/\n\u001f\"\\"}"#),
            (r#"{"a":1,"a":{"b":2}}"#, r#"{"a":{"b":2}}"#),
            (r#"{"\"":{"\\":"}"},"":"]"}"#, r#"{"":"]","\"":{"\\":"}"}}"#),
        ] {
            assert_eq!(Params::from_json(json).as_ref().map(Params::as_str), Ok(expected));
        }
    }

    #[test]
    fn params_are_an_object_of_text() {
        assert_eq!(Params::from_json("[1]").unwrap_err(), "expected an object, found [1]");
        assert!(Params::from_json(r#"{"a":"\ud800"}"#).is_err());
        assert!(Params::from_json(r#"{"\ud800":1}"#).is_err());
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"a\":{}1{}}}", "[{\"b\":".repeat(200_000), "}]".repeat(200_000));
        assert_eq!(Params::from_json(&deep).unwrap().as_str(), deep);
    }
}
