//! The receipts that a browser keeps, one for each key.

use std::collections::HashMap;

use holocast::{Key, Receipt};

/// What a client would present when it reconnects.
#[derive(Debug, Default)]
pub struct Wallet(HashMap<Key, Receipt>);

impl Wallet {
    /// Keeps receipts in the place of those of the same key.
    pub fn keep(&mut self, receipts: impl IntoIterator<Item = Receipt>) {
        let keyed = receipts.into_iter().map(|receipt| (key_of(&receipt), receipt));
        self.0.extend(keyed);
    }

    /// Keeps receipts in the place of older ones of the same key: for when two threads bring them, in any order.
    pub fn keep_newest(&mut self, receipts: impl IntoIterator<Item = Receipt>) {
        for receipt in receipts {
            let key = key_of(&receipt);
            if self.0.get(&key).is_none_or(|kept| kept.stamp() <= receipt.stamp()) {
                self.0.insert(key, receipt);
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

fn key_of(receipt: &Receipt) -> Key {
    (receipt.channel().clone(), receipt.cid().clone())
}
