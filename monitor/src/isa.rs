//! PLACEHOLDER written by helper
