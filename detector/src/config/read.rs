//! A tree to typed settings: serde's deserializer, whose mistakes know their places.

use std::fmt::Display;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer as _, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor, value::StrDeserializer,
};

use super::{
    node::{Entry, Kind, Map, Node, Place, Scalar, Step, Value},
    texts::is_word,
};

/// What is wrong with a tree, and which part of it.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) told: Told,
    /// The innermost part that is known; the root if none.
    pub(super) place: Option<Place>,
    /// To what is taken out to look at the rest, innermost step first.
    path: Vec<Step>,
}

#[derive(Debug)]
pub(super) enum Told {
    Unknown {
        key: String,
        known: &'static [&'static str],
    },
    Missing(&'static str),
    Value(String),
    /// Something else where keys or items are to be.
    Shape(String),
    Choice {
        word: String,
        known: &'static [&'static str],
    },
}

impl Mistake {
    fn new(told: Told) -> Self {
        Self {
            told,
            place: None,
            path: Vec::new(),
        }
    }

    fn expected(what: &str, found: &Node) -> Self {
        Self::new(Told::Value(not(what, found)))
    }

    fn shape(what: &str, found: &Node) -> Self {
        Self::new(Told::Shape(not(what, found)))
    }

    fn within(mut self, step: Step, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self.path.push(step);
        self
    }

    /// Outermost step first.
    pub(super) fn path(&self) -> Vec<Step> {
        self.path.iter().rev().copied().collect()
    }
}

fn not(what: &str, found: &Node) -> String {
    format!("expected {what}, found {}", found.what())
}

impl Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.told {
            Told::Unknown { key, .. } if !is_word(key) => f.write_str("this is no key"),
            Told::Unknown { key, .. } => write!(f, "unknown key `{key}`"),
            Told::Missing(key) => write!(f, "the key `{key}` is missing"),
            Told::Value(message) | Told::Shape(message) => f.write_str(message),
            Told::Choice { word, .. } if !is_word(word) => f.write_str("this is not known here"),
            Told::Choice { word, .. } => write!(f, "`{word}` is not known here"),
        }
    }
}

impl std::error::Error for Mistake {}

/// None of them quotes a value: it may be a secret.
impl Error for Mistake {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Told::Value(message.to_string()))
    }

    fn invalid_type(_unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn invalid_value(_unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn invalid_length(_length: usize, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        let word = word.to_owned();
        Self::new(Told::Choice { word, known })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let key = key.to_owned();
        Self::new(Told::Unknown { key, known })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(Told::Missing(key))
    }
}

impl Node {
    fn scalar(&self, expected: &str) -> Result<&Scalar, Mistake> {
        match &self.value {
            Value::Scalar(scalar) => Ok(scalar),
            _ => Err(Mistake::expected(expected, self)),
        }
    }

    fn entries<'de, V: Visitor<'de>>(&'de self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.value {
            Value::Map(map) => visitor.visit_map(Entries::of(map)),
            // Where all that stands below a key is commented out.
            Value::Null => visitor.visit_map(Entries::default()),
            _ => Err(Mistake::shape("keys with values", self)),
        }
    }

    fn items<'de, V: Visitor<'de>>(&'de self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.value {
            Value::List(items) => visitor.visit_seq(Items::of(items)),
            Value::Null => visitor.visit_seq(Items::of(&[])),
            _ => Err(Mistake::shape("a list", self)),
        }
    }
}

macro_rules! numbers {
    ($($method:ident: $number:ident, $visit:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
            let expected = match u64::from($number::MAX) {
                u64::MAX => "a whole number".to_owned(),
                most => format!("a whole number up to {most}"),
            };
            let scalar = self.scalar(&expected)?;
            match scalar.text.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) if scalar.kind == Kind::Number => {
                    Err(Mistake::custom(format_args!("expected {expected}")))
                }
                Err(_) => Err(Mistake::expected(&expected, self)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Mistake;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar(Scalar { text, kind }) => match (kind, text.parse::<u64>()) {
                (Kind::Bool, _) => self.deserialize_bool(visitor),
                (Kind::Number, Ok(number)) => visitor.visit_u64(number),
                _ => visitor.visit_borrowed_str(text),
            },
            Value::List(_) => self.items(visitor),
            Value::Map(_) => self.entries(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        let expected = "true or false";
        let scalar = self.scalar(expected)?;
        match scalar.text.to_ascii_lowercase().as_str() {
            "true" if scalar.kind == Kind::Bool => visitor.visit_bool(true),
            "false" if scalar.kind == Kind::Bool => visitor.visit_bool(false),
            _ => Err(Mistake::expected(expected, self)),
        }
    }

    numbers! {
        deserialize_u8: u8, visit_u8;
        deserialize_u16: u16, visit_u16;
        deserialize_u32: u32, visit_u32;
        deserialize_u64: u64, visit_u64;
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        visitor.visit_borrowed_str(&self.scalar("a text")?.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        match &self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.items(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mistake> {
        self.entries(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        self.entries(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        match &self.value {
            Value::Scalar(scalar) => visitor.visit_enum(scalar.text.as_str().into_deserializer()),
            Value::Map(map) if map.entries.len() == 1 => {
                let entry = map.entries.first();
                entry.map_or_else(
                    || Err(Mistake::missing_field("")),
                    |entry| visitor.visit_enum(Choice(entry)),
                )
            }
            _ => {
                let words = variants.join(", ");
                Err(Mistake::expected(&format!("one of {words}"), self))
            }
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
        identifier ignored_any
    }
}

#[derive(Default)]
struct Entries<'de> {
    entries: std::iter::Enumerate<std::slice::Iter<'de, Entry>>,
    value: Option<(Step, &'de Node)>,
}

impl<'de> Entries<'de> {
    fn of(map: &'de Map) -> Self {
        Self {
            entries: map.entries.iter().enumerate(),
            value: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Mistake;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mistake> {
        let Some((step, entry)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some((step, &entry.value));
        let key: StrDeserializer<'_, Mistake> = entry.key.as_str().into_deserializer();
        let key = seed.deserialize(key);
        key.map(Some)
            .map_err(|mistake| mistake.within(step, &entry.key_place))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mistake> {
        let Some((step, node)) = self.value.take() else {
            return Err(Mistake::custom("a value is asked for before its key"));
        };
        let value = seed.deserialize(node);
        value.map_err(|mistake| mistake.within(step, &node.place))
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Node>>);

impl<'de> Items<'de> {
    fn of(items: &'de [Node]) -> Self {
        Self(items.iter().enumerate())
    }
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Mistake;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Mistake> {
        let Some((step, node)) = self.0.next() else {
            return Ok(None);
        };
        let item = seed.deserialize(node);
        item.map(Some)
            .map_err(|mistake| mistake.within(step, &node.place))
    }
}

/// `name: value`, where one of several names is to be.
struct Choice<'de>(&'de Entry);

/// It is taken out as a whole: without its value it would be another mistake.
fn whole(mut mistake: Mistake, place: &Place) -> Mistake {
    mistake.place.get_or_insert_with(|| place.clone());
    mistake.path.clear();
    mistake
}

impl<'de> EnumAccess<'de> for Choice<'de> {
    type Error = Mistake;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Mistake> {
        let name: StrDeserializer<'_, Mistake> = self.0.key.as_str().into_deserializer();
        let name = seed.deserialize(name);
        let name = name.map_err(|mistake| whole(mistake, &self.0.key_place))?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'de> {
    type Error = Mistake;

    fn unit_variant(self) -> Result<(), Mistake> {
        let key = &self.0.key;
        let mistake = Mistake::custom(format_args!("`{key}` has no value"));
        Err(whole(mistake, &self.0.value.place))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Mistake> {
        let value = seed.deserialize(&self.0.value);
        value.map_err(|mistake| whole(mistake, &self.0.value.place))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Mistake> {
        let value = self.0.value.items(visitor);
        value.map_err(|mistake| whole(mistake, &self.0.value.place))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mistake> {
        let value = self.0.value.entries(visitor);
        value.map_err(|mistake| whole(mistake, &self.0.value.place))
    }
}
