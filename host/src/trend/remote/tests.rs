//! From a commit to a store and back.
