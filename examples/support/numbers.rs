//! Numbers for readers.
#![allow(dead_code, reason = "not every example uses all of it")]

/// 1234567 as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = (0..digits.len().div_ceil(3))
        .rev()
        .map(|i| &digits[digits.len().saturating_sub(3 * i + 3)..digits.len() - 3 * i])
        .collect();
    groups.join(",")
}

/// Whether an option such as `--quick` was given.
pub fn flag(name: &str) -> bool {
    std::env::args().any(|argument| argument == name)
}

/// What follows an option such as `--seed`.
pub fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}
