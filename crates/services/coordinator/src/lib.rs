//! The one owner of the state: decides, applies, makes durable, answers.
