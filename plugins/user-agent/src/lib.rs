//! What a `User-Agent` header says.
