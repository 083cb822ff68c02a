//! x
pub mod btf;
pub mod cli;
pub mod collector;
pub mod config;
pub mod doctor;
pub mod event;
pub mod host;
pub mod isa;
pub mod journal;
pub mod metrics;
pub mod probe;
pub mod profile;
pub mod text;
pub mod verdict;
pub mod web;
