//! The one source of randomness: SplitMix64, read at any position.
//!
//! SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014) steps a
//! counter by a fixed odd constant and scrambles it, so the n-th number of a stream is a function of the stream's
//! key and of n alone. That is what a tape of choices needs: the draws of one place in the code do not move
//! when another place draws once more or once less, and no generator has to be shared or locked. It is written
//! out here so that a seed means the same run whatever version of whatever crate is about.

/// The golden-ratio increment of SplitMix64.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of SplitMix64: a bijection in which every input bit reaches every output bit.
#[inline]
pub const fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Number `position` (from 0) of the stream `key`.
#[inline]
pub const fn at(key: u64, position: u64) -> u64 {
    scramble(key.wrapping_add(position.wrapping_add(1).wrapping_mul(GAMMA)))
}

/// A stream of its own for each `name` below `key`.
#[inline]
pub const fn derive(key: u64, name: u64) -> u64 {
    scramble(key ^ scramble(name.wrapping_add(GAMMA)))
}

/// Maps a number onto `0..bound` by multiplication (Lemire 2019, without his rejection step: for the bounds drawn
/// here, far below 2^32, the bias is below 2^-32). `bound` must not be zero.
#[inline]
pub const fn below(number: u64, bound: u64) -> u64 {
    ((number as u128 * bound as u128) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_of_key_1234567_is_the_published_one() {
        // The test vector that reference implementations of SplitMix64 share.
        let expected = [
            6457827717110365317,
            3203168211198807973,
            9817491932198370423,
            4593380528125082431,
            16408922859458223821,
        ];
        let drawn: Vec<u64> = (0..5).map(|n| at(1234567, n)).collect();
        assert_eq!(drawn, expected);
    }

    #[test]
    fn below_stays_below_and_reaches_both_ends() {
        let drawn: Vec<u64> = (0..1000).map(|n| below(at(7, n), 10)).collect();
        assert!(drawn.iter().all(|&value| value < 10));
        for value in 0..10 {
            let share = drawn.iter().filter(|&&drawn| drawn == value).count();
            assert!((50..200).contains(&share), "{value} was drawn {share} times of 1000");
        }
    }
}
