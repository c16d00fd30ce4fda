//! Encoding of words and queries as PostgreSQL's `tsvector` and `tsquery`.
//!
//! Words of the text have the weight `D`, and additional tokens have the weight `A`, so that
//! phrases match only words that are in the text. Filters are encoded as lexemes with a character
//! that no word contains: `=c12` is a conversation, `=a7` an author, `=hf` a file.

use std::fmt::Write as _;

use crate::{
    query::{Atom, Has},
    token::Tokens,
};

/// Maximum size of the encoded words, in bytes; a `tsvector` is limited to 1 MiB.
const MAX_BYTES: usize = 900_000;

/// Encodes the words of a message and its filters as `tsvector`.
#[must_use]
pub fn vector(tokens: &Tokens, conversation: i64, author: Option<i64>, has: impl IntoIterator<Item = Has>) -> String {
    let mut vector = quote_term(&of_conversation(conversation));
    if let Some(author) = author {
        let _ = write!(vector, " {}", quote_term(&of_author(author)));
    }
    for has in has {
        let _ = write!(vector, " {}", quote_term(flag(has)));
    }
    // Positions start at 1.
    for token in &tokens.words {
        if vector.len() < MAX_BYTES {
            let _ = write!(vector, " {}:{}", quote_term(&token.term), token.position + 1);
        }
    }
    for token in &tokens.additional {
        if vector.len() < MAX_BYTES {
            let _ = write!(vector, " {}:{}A", quote_term(&token.term), token.position + 1);
        }
    }
    vector
}

/// Encodes a `tsquery` that matches any of the atoms.
#[must_use]
pub fn any(atoms: &[Atom]) -> String {
    joined(atoms.iter().map(encode), " | ")
}

/// Encodes a `tsquery` that matches any of the conversations.
#[must_use]
pub fn conversations(numbers: &[i64]) -> String {
    joined(numbers.iter().map(|number| quote_term(&of_conversation(*number))), " | ")
}

/// Encodes a `tsquery` that matches any of the authors.
#[must_use]
pub fn authors(numbers: &[i64]) -> String {
    joined(numbers.iter().map(|number| quote_term(&of_author(*number))), " | ")
}

#[must_use]
pub fn has(has: Has) -> String {
    quote_term(flag(has))
}

/// Joins parts to a `tsquery` that matches only if all of them match.
#[must_use]
pub fn all(parts: &[String]) -> String {
    joined(parts.iter().cloned(), " & ")
}

fn joined(parts: impl Iterator<Item = String>, by: &str) -> String {
    format!("({})", parts.collect::<Vec<_>>().join(by))
}

fn encode(atom: &Atom) -> String {
    match atom {
        Atom::Word(word) => quote_term(word),
        Atom::Prefix(beginning) => format!("{}:*", quote_term(beginning)),
        Atom::Phrase { terms, is_open } => {
            let last = terms.len().saturating_sub(1);
            let term = |(place, term): (usize, &String)| {
                format!("{}:{}", quote_term(term), if *is_open && place == last { "*D" } else { "D" })
            };
            joined(terms.iter().enumerate().map(term), " <-> ")
        }
    }
}

fn of_conversation(number: i64) -> String {
    format!("=c{number}")
}

fn of_author(number: i64) -> String {
    format!("=a{number}")
}

const fn flag(has: Has) -> &'static str {
    match has {
        Has::File => "=hf",
        Has::Image => "=hi",
        Has::Link => "=hl",
        Has::Voice => "=hv",
    }
}

fn quote_term(term: &str) -> String {
    format!("'{}'", term.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Interpretation, Query, tokens};

    #[test]
    fn encodes_texts_and_queries() {
        let text = tokens("getName it");
        assert_eq!(vector(&text, 3, Some(4), [Has::Link]), "'=c3' '=a4' '=hl' 'get':1 'name':2 'it':3 'getname':1A");
        let query = Query::parse("plain be* \"one two\" ", 0).unwrap();
        let parts: Vec<String> = Interpretation::default().atoms(&query).iter().map(|atoms| any(atoms)).collect();
        assert_eq!(all(&parts), "(('plain') & ('be':*) & (('one':D <-> 'two':D)))");
        assert_eq!(conversations(&[1, 2]), "('=c1' | '=c2')");
    }
}
