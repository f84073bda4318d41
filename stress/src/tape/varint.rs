//! Numbers and bytes as files of tapes have them.

use super::TapeError;

/// Appends `number` as LEB128.
pub(super) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Appends the length of `part` and its bytes.
pub(super) fn put_bytes(bytes: &mut Vec<u8>, part: &[u8]) {
    put(bytes, part.len() as u64);
    bytes.extend_from_slice(part);
}

/// Reads what was put.
pub(super) struct Reader<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn numbers<const N: usize>(&mut self) -> Result<[u32; N], TapeError> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number =
                u32::try_from(self.number()?).map_err(|_| TapeError::Malformed("a number is too large"))?;
        }
        Ok(numbers)
    }

    pub(super) fn number(&mut self) -> Result<u64, TapeError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) =
                self.rest.split_first().ok_or(TapeError::Malformed("it ends within a number"))?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(TapeError::Malformed("a number is too long"))
    }

    /// A length, and so many bytes; `malformed` says what is wrong if there are fewer.
    pub(super) fn bytes(&mut self, malformed: &'static str) -> Result<&'a [u8], TapeError> {
        let length = self.number()?;
        let parts = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (part, rest) = parts.ok_or(TapeError::Malformed(malformed))?;
        self.rest = rest;
        Ok(part)
    }
}
