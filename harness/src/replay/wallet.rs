//! The receipts that a browser keeps, one for each key.

use std::collections::HashMap;

use holocast::{Key, Receipt};

/// What a client would present when it reconnects.
#[derive(Debug, Default)]
pub struct Wallet(HashMap<Key, Receipt>);

impl Wallet {
    /// Keeps receipts in the place of older ones of the same key. Two threads may bring them out of order: the stamp decides.
    pub fn keep(&mut self, receipts: impl IntoIterator<Item = Receipt>) {
        for receipt in receipts {
            let key = (receipt.channel().clone(), receipt.cid().clone());
            match self.0.get(&key) {
                Some(kept) if kept.stamp() > receipt.stamp() => {}
                _ => _ = self.0.insert(key, receipt),
            }
        }
    }

    /// Gives up the receipts of these keys.
    pub fn forget(&mut self, keys: &[Key]) {
        for key in keys {
            self.0.remove(key);
        }
    }

    /// Gives up all: a fresh page holds nothing yet.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Every receipt it holds, in no order.
    pub fn presented(&self) -> Vec<Receipt> {
        self.0.values().cloned().collect()
    }
}
