//! One test for every numbered rule of docs/semantics.md, a file for every section of it; and the rules that lanes touch, on lanes.

mod broadcast;
mod clocks;
mod connections;
mod faults;
mod hooks;
mod lanes;
mod limits;
mod queues;
mod receipts;
mod security;
mod shutdown;
mod subscriptions;
mod support;
mod values;
