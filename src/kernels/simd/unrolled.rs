//! [`unrolled!`]: loops without a counter.

/// `body` for each `i` below a constant, at most 14. An array of vectors that is indexed by the counter of a loop has to lie
/// in memory; the constants that `i` is here let the compiler keep it in registers.
macro_rules! unrolled {
    ($i:ident < $limit:expr, $body:block) => {
        unrolled!($i < $limit, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13)
    };
    ($i:ident < $limit:expr, $body:block, $($index:literal)*) => {{
        const { assert!($limit <= 14) };
        $(
            if const { $index < $limit } {
                let $i = $index;
                $body
            }
        )*
    }};
}
pub(in crate::kernels) use unrolled;
