//! Exact numbers as text and as whole numbers with a scale.

/// Reads `-12.50` as (-1250, 2). A float's exponent is read as well.
pub(crate) fn parse(text: &str) -> Option<(i128, u8)> {
    let text = text.trim();
    let (text, power) = match text.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut mantissa: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
    }
    let mut scale = i32::try_from(fraction.len()).ok()? - power;
    while scale < 0 {
        mantissa = mantissa.checked_mul(10)?;
        scale += 1;
    }
    while scale > 38 {
        mantissa /= 10;
        scale -= 1;
    }
    Some((if negative { -mantissa } else { mantissa }, u8::try_from(scale).ok()?))
}

/// The same number with another scale; halves are rounded away from zero. `None` when it has more than 38 digits then.
pub(crate) fn rescale((mantissa, from): (i128, u8), to: u8) -> Option<i128> {
    let mut mantissa = mantissa;
    if to >= from {
        for _ in from..to {
            mantissa = mantissa.checked_mul(10)?;
        }
        return Some(mantissa);
    }
    let divisor = 10i128.pow(u32::from(from - to));
    let rest = (mantissa % divisor).abs();
    let sign = mantissa.signum();
    mantissa /= divisor;
    Some(if rest >= divisor - rest { mantissa + sign } else { mantissa })
}

/// Text of a number with so many decimals.
pub(crate) fn format(mantissa: i128, scale: u8) -> String {
    let digits = mantissa.unsigned_abs().to_string();
    let scale = usize::from(scale);
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if mantissa < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Compares two numbers in text; `None` where one is none.
pub(crate) fn compare(a: &str, b: &str) -> Option<std::cmp::Ordering> {
    let (a, b) = (parse(a)?, parse(b)?);
    let scale = a.1.max(b.1);
    match (rescale(a, scale), rescale(b, scale)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        // One of them is so large that the other's decimals do not matter.
        _ => Some((a.0 / 10i128.pow(u32::from(a.1))).cmp(&(b.0 / 10i128.pow(u32::from(b.1))))),
    }
}
