//! One test for every numbered rule of docs/semantics.md, a file for every section of it; and the rules that lanes touch, on lanes.

mod broadcast;
mod clocks;
mod connections;
mod lanes;
mod limits;
mod queues;
mod receipts;
mod subscriptions;
mod support;
mod values;
