//! Receipts as C gets them: a key and a signed token.

use holocast::{Realtime, Receipt as EngineReceipt, ReceiptError};

use crate::Params;
use crate::raw::{List, Text};
use crate::status::{Failure, Status, guard};

/// The proof of a binding, for the client to keep and to present when it reconnects.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    /// The channel's text.
    channel: Text,
    /// The component's id.
    cid: Text,
    /// The signed token; empty if the engine has no signing key.
    token: Text,
}

/// Fresh receipts, by channel and cid. Many threads may read them at once.
#[derive(Debug)]
pub struct Receipts {
    /// What the views point into. Behind a pointer that does not move.
    #[cfg_attr(not(test), expect(dead_code, reason = "kept for the views"))]
    held: Vec<Issued>,
    views: Vec<Receipt>,
}

/// A receipt, and what is made of it for C.
#[derive(Debug)]
pub(crate) struct Issued {
    channel: String,
    token: String,
    receipt: EngineReceipt,
}

impl Issued {
    pub(crate) fn new(realtime: &Realtime<Params>, receipt: EngineReceipt) -> Self {
        // The one error is that there is no key.
        let token = realtime.sign(&receipt).unwrap_or_default();
        Self { channel: receipt.channel().to_string(), token, receipt }
    }

    pub(crate) fn cid(&self) -> Text {
        Text::lend(self.receipt.cid())
    }

    /// Points to memory that stays where it is when this is moved: the heap's, and the shared claim's.
    pub(crate) fn view(&self) -> Receipt {
        Receipt { channel: Text::lend(&self.channel), cid: self.cid(), token: Text::lend(&self.token) }
    }
}

impl Receipts {
    /// Nothing if there are none.
    pub(crate) fn new(realtime: &Realtime<Params>, receipts: Vec<EngineReceipt>) -> Option<Box<Self>> {
        if receipts.is_empty() {
            return None;
        }
        let held: Vec<Issued> = receipts.into_iter().map(|receipt| Issued::new(realtime, receipt)).collect();
        let views = held.iter().map(Issued::view).collect();
        Some(Box::new(Self { held, views }))
    }
}

#[cfg(test)]
impl Receipts {
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &str> {
        self.held.iter().map(|issued| issued.token.as_str())
    }
}

/// The receipts of these tokens, and how many tokens are worth nothing.
pub(crate) fn verify(
    realtime: &Realtime<Params>,
    tokens: &List<Text>,
) -> Result<(Vec<EngineReceipt>, usize), Failure> {
    let tokens = tokens.read("the tokens")?;
    let mut receipts = Vec::with_capacity(tokens.len());
    for token in tokens {
        let token = match token.read("a token") {
            Ok(token) => token,
            // A client may send what it likes.
            Err(failure) if failure.status() == Status::NotUtf8 => continue,
            Err(failure) => return Err(failure),
        };
        match realtime.verify(token) {
            Ok(receipt) => receipts.push(receipt),
            Err(error @ ReceiptError::NoKey) => {
                return Err(Failure::new(Status::NoSigningKey, error.to_string()));
            }
            Err(_) => {}
        }
    }
    let refused = tokens.len() - receipts.len();
    Ok((receipts, refused))
}

/// The list of receipts; empty for null, which is what a call gives out that has none. Valid until they are freed.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_receipts_list(receipts: Option<&Receipts>) -> List<Receipt> {
    List::lend(receipts.map_or(&[], |receipts| &receipts.views))
}

/// Frees receipts; null is fine.
#[unsafe(no_mangle)]
pub extern "C" fn holocast_receipts_free(receipts: Option<Box<Receipts>>) {
    guard(|| {
        drop(receipts);
        Ok(())
    });
}
