//! Tantivy alone: the same messages with tantivy's own tokenizer, called within the process. Does
//! as little as the comparison with FTS5, with the same queries.

use std::path::Path;
use std::time::{Duration, Instant};

use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, PhraseQuery, Query, RegexQuery, TermQuery, TermSetQuery};
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{AsciiFoldingFilter, LowerCaser, SimpleTokenizer, TextAnalyzer, TokenStream as _};
use tantivy::{Index, IndexReader, IndexWriter, Order, TantivyDocument, Term};

use super::Class;
use super::bare::HITS;
use super::corpus::{CONVERSATIONS, Corpus};

/// Memory budget of the index writer, in bytes.
const BUFFER: usize = 100 << 20;
/// Name of the tokenizer.
const TOKENIZER: &str = "plain";

pub struct Tantivy {
    reader: IndexReader,
    analyzer: TextAnalyzer,
    body: Field,
    wide: TermSetQuery,
    pub built_in: Duration,
    pub bytes: u64,
}

impl Tantivy {
    /// Builds the index in this folder, on one thread. `wide` are the conversations to search.
    pub fn build(folder: &Path, messages: u64, wide: &[usize]) -> anyhow::Result<Self> {
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(TOKENIZER)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions)
            .set_fieldnorms(false);
        let body = schema.add_text_field("body", TextOptions::default().set_indexing_options(indexing));
        let conversation = schema.add_u64_field("conversation", INDEXED);
        let number = schema.add_u64_field("number", FAST);
        let index = Index::create_in_dir(folder, schema.build())?;
        let analyzer = TextAnalyzer::builder(SimpleTokenizer::default()).filter(LowerCaser).filter(AsciiFoldingFilter);
        let analyzer = analyzer.build();
        index.tokenizers().register(TOKENIZER, analyzer.clone());
        let mut writer: IndexWriter = index.writer_with_num_threads(1, BUFFER)?;
        let (begun, mut corpus) = (Instant::now(), Corpus::new());
        for doc in 0..messages {
            let said = corpus.say();
            let mut document = TantivyDocument::new();
            document.add_text(body, &said.text);
            document.add_u64(conversation, u64::try_from(said.conversation)?);
            document.add_u64(number, doc);
            writer.add_document(document)?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        let built_in = begun.elapsed();
        let mut bytes = 0;
        for entry in std::fs::read_dir(folder)? {
            bytes += entry?.metadata()?.len();
        }
        let wide = wide.iter().filter(|rank| **rank < CONVERSATIONS);
        let wide = TermSetQuery::new(wide.map(|rank| Term::from_field_u64(conversation, *rank as u64)));
        Ok(Self { reader: index.reader()?, analyzer, body, wide, built_in, bytes })
    }

    /// Searches for the newest hits in these conversations and returns the latency; `None` if the
    /// class is not compared.
    pub fn search(&self, class: Class, q: &str) -> anyhow::Result<Option<Duration>> {
        let begun = Instant::now();
        let words: Box<dyn Query> = match class {
            Class::Rare | Class::Common | Class::Phrase => self.in_a_row(q),
            Class::TwoWords => {
                Box::new(BooleanQuery::intersection(q.split_whitespace().map(|word| self.in_a_row(word)).collect()))
            }
            Class::Prefix => Box::new(RegexQuery::from_pattern(&format!("{}.*", self.parts(q).concat()), self.body)?),
            Class::Typo | Class::Filtered => return Ok(None),
        };
        let query = BooleanQuery::intersection(vec![words, Box::new(self.wide.clone())]);
        let newest = TopDocs::with_limit(HITS as usize).order_by_fast_field::<u64>("number", Order::Desc);
        let hits = self.reader.searcher().search(&query, &newest)?;
        std::hint::black_box(hits);
        Ok(Some(begun.elapsed()))
    }

    /// Builds a phrase query from the tokens of one or several words.
    fn in_a_row(&self, text: &str) -> Box<dyn Query> {
        let terms: Vec<Term> = self.parts(text).iter().map(|part| Term::from_field_text(self.body, part)).collect();
        if terms.len() > 1 {
            return Box::new(PhraseQuery::new(terms));
        }
        let terms = terms.into_iter().map(|term| TermQuery::new(term, IndexRecordOption::Basic));
        Box::new(BooleanQuery::intersection(terms.map(|query| Box::new(query) as Box<dyn Query>).collect()))
    }

    /// Splits a text into tokens of letters and digits.
    fn parts(&self, text: &str) -> Vec<String> {
        let (mut analyzer, mut parts) = (self.analyzer.clone(), Vec::new());
        let mut stream = analyzer.token_stream(text);
        while stream.advance() {
            parts.push(stream.token().text.clone());
        }
        parts
    }
}
