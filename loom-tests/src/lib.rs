//! What the program that holds the models and the program that weakens what they model have in common.

pub mod explored;
