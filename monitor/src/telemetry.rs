//! What is told: events, metrics, views, the endpoint, the service manager. It
//! observes and never decides.

pub mod journal;
pub mod metrics;
pub mod notify;
pub mod view;
pub mod web;
