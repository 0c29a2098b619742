//! One test for every numbered rule of docs/semantics.md, a file for every section of it.

mod broadcast;
mod connections;
mod queues;
mod receipts;
mod subscriptions;
mod support;
mod values;
