//! Events as lines of JSON: compact, fields in the order of semantics, section 8.

use std::io::{self, Write};

use holocast::{Channel, Cid, CloseReason, Key};
use serde::Serialize;

use super::json::Params;

/// Writes events, one line each, through a buffer of its own.
#[derive(Debug)]
pub struct EventWriter<W: Write> {
    out: W,
    /// The line being made.
    line: Vec<u8>,
}

impl<W: Write> EventWriter<W> {
    /// Writes to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        EventWriter { out, line: Vec::with_capacity(256) }
    }

    fn begin(&mut self, op: u64, instance: &str, event: &str) {
        self.line.clear();
        self.line.extend_from_slice(b"{\"op\":");
        self.json(&op);
        self.line.extend_from_slice(b",\"instance\":");
        self.json(instance);
        self.line.extend_from_slice(b",\"event\":\"");
        self.line.extend_from_slice(event.as_bytes());
        self.line.push(b'"');
    }

    /// Appends any value; to a vector in memory this can't fail.
    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        let _ = serde_json::to_writer(&mut self.line, value);
    }

    fn end(&mut self) -> io::Result<()> {
        self.line.extend_from_slice(b"}\n");
        self.out.write_all(&self.line)
    }

    /// A delivery; the cids come sorted from the engine (rule B1).
    ///
    /// # Errors
    ///
    /// The line can't be written. So of all methods below.
    pub fn broadcast<'a>(
        &mut self,
        op: u64,
        instance: &str,
        action: &str,
        params: &Params,
        cids: impl Iterator<Item = &'a Cid>,
    ) -> io::Result<()> {
        self.begin(op, instance, "broadcast");
        self.line.extend_from_slice(b",\"action\":");
        self.json(action);
        self.line.extend_from_slice(b",\"params\":");
        self.line.extend_from_slice(params.as_str().as_bytes());
        self.line.extend_from_slice(b",\"cids\":[");
        for (index, cid) in cids.enumerate() {
            if index > 0 {
                self.line.push(b',');
            }
            self.json(cid);
        }
        self.line.push(b']');
        self.end()
    }

    /// A grant.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn subscribed(&mut self, op: u64, instance: &str, channel: &Channel, cid: &Cid) -> io::Result<()> {
        self.begin(op, instance, "subscribed");
        self.line.extend_from_slice(b",\"keys\":[");
        self.json(&(channel, cid));
        self.line.push(b']');
        self.end()
    }

    /// A loss, its keys sorted by their JSON text.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn unsubscribed(&mut self, op: u64, instance: &str, keys: &[Key]) -> io::Result<()> {
        let mut texts: Vec<Vec<u8>> =
            keys.iter().map(|key| serde_json::to_vec(key).unwrap_or_default()).collect();
        texts.sort_unstable();
        self.begin(op, instance, "unsubscribed");
        self.line.extend_from_slice(b",\"keys\":[");
        self.line.extend_from_slice(&texts.join(&b','));
        self.line.push(b']');
        self.end()
    }

    /// The end of a connection.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn closed(&mut self, op: u64, instance: &str, reason: CloseReason) -> io::Result<()> {
        self.begin(op, instance, "closed");
        self.line.extend_from_slice(b",\"reason\":");
        self.json(&reason.to_string());
        self.end()
    }

    /// An operation with something in a channel's place that is none.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn invalid_channel(&mut self, op: u64) -> io::Result<()> {
        writeln!(self.out, "{{\"op\":{op},\"error\":\"invalid_channel\"}}")
    }

    /// Everything written so far reaches its destination.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use holocast::Element;

    use super::*;

    #[test]
    fn lines_have_the_exact_form() {
        let mut out = Vec::new();
        let mut writer = EventWriter::new(&mut out);
        let params = Params::from_json(r#"{"t":"é","n":1}"#).unwrap();
        let cids = [Cid::from("a"), Cid::from("b\"")];
        writer.broadcast(0, "i1", "add", &params, cids.iter()).unwrap();
        let room = Channel::tagged("room", [42]).unwrap();
        writer.subscribed(1, "i1", &room, &"page".into()).unwrap();
        let doc = Channel::tagged("doc", [Element::from("abc"), Element::atom("v2")]).unwrap();
        let keys = [
            (room, "page".into()),
            (doc, "b".into()),
            (Channel::atom("lobby"), "z".into()),
            (Channel::atom("lobby"), "a".into()),
        ];
        writer.unsubscribed(2, "i\n", &keys).unwrap();
        writer.closed(3, "i1", CloseReason::Superseded).unwrap();
        writer.invalid_channel(4).unwrap();
        writer.flush().unwrap();
        let expected = concat!(
            r#"{"op":0,"instance":"i1","event":"broadcast","action":"add","params":{"n":1,"t":"é"},"cids":["a","b\""]}"#,
            "\n",
            r#"{"op":1,"instance":"i1","event":"subscribed","keys":[[["room",42],"page"]]}"#,
            "\n",
            r#"{"op":2,"instance":"i\n","event":"unsubscribed","keys":[["lobby","a"],["lobby","z"],[["doc","abc",{"atom":"v2"}],"b"],[["room",42],"page"]]}"#,
            "\n",
            r#"{"op":3,"instance":"i1","event":"closed","reason":"superseded"}"#,
            "\n",
            r#"{"op":4,"error":"invalid_channel"}"#,
            "\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
