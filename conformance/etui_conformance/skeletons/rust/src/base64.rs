//! Padded base64 of the standard alphabet.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text of some bytes.
#[allow(dead_code)] // waits for your library
pub fn encode(data: &[u8]) -> String {
    let mut text = String::with_capacity(data.len().div_ceil(3) * 4);
    for group in data.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, i| {
            bits << 8 | u32::from(*group.get(i).unwrap_or(&0))
        });
        for i in 0..4 {
            let digit = ALPHABET[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= group.len() { digit as char } else { '=' });
        }
    }
    text
}

/// The bytes of a text, or nothing if it is not base64.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    if text.len() % 4 != 0 || text.len() - digits.len() > 2 {
        return None;
    }
    let mut data = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits.chunks(4) {
        let mut bits = 0u32;
        for i in 0..4 {
            let value = match group.get(i) {
                Some(digit) => ALPHABET.iter().position(|known| known == digit)? as u32,
                None => 0,
            };
            bits = bits << 6 | value;
        }
        data.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(data)
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_come_back() {
        for size in 0..9 {
            let data: Vec<u8> = (0..size).map(|i| 251u8.wrapping_mul(i + 1)).collect();
            assert_eq!(super::decode(&super::encode(&data)), Some(data));
        }
        assert_eq!(
            super::encode(b"any carnal pleas"),
            "YW55IGNhcm5hbCBwbGVhcw=="
        );
        assert_eq!(super::decode("A==="), None);
    }
}
