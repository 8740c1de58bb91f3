//! What the user wrote, turned into what is valid.
