//! From what sources say to what channels use, in virtual time.
