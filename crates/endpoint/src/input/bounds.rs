//! Bounds of fields: `#[validate(length(min = 1, max = 100))]` and `#[validate(range(min = 0))]`.

use appcore::FieldError;

/// Smallest and largest permitted value or length of a field.
pub struct Bounds {
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// Error message that replaces the default one.
    pub message: Option<&'static str>,
}

/// Field with a length: a text, measured in characters, or a list, measured in items.
pub trait HasLength {
    /// Unit in error messages: `" characters"` or `" items"`.
    const UNIT: &'static str;

    /// Length of the field; `None` if it is missing or null.
    fn length(&self) -> Option<usize>;
}

impl HasLength for String {
    const UNIT: &'static str = " characters";

    fn length(&self) -> Option<usize> {
        Some(self.chars().count())
    }
}

impl<T> HasLength for Vec<T> {
    const UNIT: &'static str = " items";

    fn length(&self) -> Option<usize> {
        Some(self.len())
    }
}

impl<T: HasLength> HasLength for Option<T> {
    const UNIT: &'static str = T::UNIT;

    fn length(&self) -> Option<usize> {
        self.as_ref().and_then(T::length)
    }
}

/// Integer field.
pub trait Number: Copy {
    /// Value of the field; `None` if it is missing or null.
    fn value(self) -> Option<i128>;
}

impl Number for i64 {
    fn value(self) -> Option<i128> {
        Some(self.into())
    }
}

impl Number for u64 {
    fn value(self) -> Option<i128> {
        Some(self.into())
    }
}

impl Number for u32 {
    fn value(self) -> Option<i128> {
        Some(self.into())
    }
}

impl<T: Number> Number for Option<T> {
    fn value(self) -> Option<i128> {
        self.and_then(T::value)
    }
}

/// Collects the fields whose value or length is out of bounds.
pub struct BoundChecks<'a> {
    errors: &'a mut Vec<FieldError>,
}

impl<'a> BoundChecks<'a> {
    pub(super) const fn new(errors: &'a mut Vec<FieldError>) -> Self {
        Self { errors }
    }

    pub fn length<T: HasLength>(&mut self, name: &'static str, field: &T, bounds: &Bounds) {
        let length = field.length().and_then(|length| i128::try_from(length).ok());
        match bounds.exceeded(length, T::UNIT) {
            Some(Exceeded::Min(message)) => self.errors.push(FieldError::new(name, "too_short", message)),
            Some(Exceeded::Max(message)) => self.errors.push(FieldError::new(name, "too_long", message)),
            None => {}
        }
    }

    pub fn range<T: Number>(&mut self, name: &'static str, field: &T, bounds: &Bounds) {
        match bounds.exceeded(field.value(), "") {
            Some(Exceeded::Min(message)) => self.errors.push(FieldError::new(name, "too_small", message)),
            Some(Exceeded::Max(message)) => self.errors.push(FieldError::new(name, "too_large", message)),
            None => {}
        }
    }
}

/// Bound that a field violates, with the error message.
enum Exceeded {
    Min(String),
    Max(String),
}

impl Bounds {
    fn exceeded(&self, size: Option<i128>, unit: &str) -> Option<Exceeded> {
        let size = size?;
        let message = |sentence: String| self.message.map_or(sentence, str::to_owned);
        match (self.min, self.max) {
            (Some(min), _) if size < min.into() => Some(Exceeded::Min(message(format!("At least {min}{unit}.")))),
            (_, Some(max)) if size > max.into() => Some(Exceeded::Max(message(format!("At most {max}{unit}.")))),
            _ => None,
        }
    }
}
