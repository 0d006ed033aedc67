//! CLIP's byte-pair encoding, from a model's files or built in for checkpoints that carry none. Knows no
//! weights and no chunks.

use crate::{EngineError, json};
use instant_clip_tokenizer::Token;
use protocol::Problem;
use serde_json::Value;
use std::collections::HashMap;
use tokenizers::{
    AddedToken, SplitDelimiterBehavior, Tokenizer as HuggingFace,
    models::bpe::{BPE, Vocab},
    normalizers::{Lowercase, NFC, NormalizerWrapper, Replace, Sequence as Normalizers, replace::ReplacePattern},
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        sequence::Sequence as PreTokenizers,
        split::{Split, SplitPattern},
    },
    tokenizer::{NormalizedString, Normalizer},
};

/// How text is cut before merging: contractions, letters, single digits, runs of anything else.
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The names of CLIP's two special tokens.
const BEGIN: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";

/// A vocabulary and how text becomes its tokens.
#[allow(missing_debug_implementations, reason = "holds a vocabulary of 50,000 words")]
pub struct Tokenizer {
    kind: Kind,
    /// Begins every chunk.
    pub begin: u32,
    /// Ends every chunk.
    pub end: u32,
    /// Fills every chunk.
    pub pad: u32,
    /// A comma by itself, after which long prompts are preferably cut.
    pub comma: Option<u32>,
}

enum Kind {
    /// Read from a model's files.
    Read(Box<HuggingFace>),
    /// CLIP's own vocabulary.
    BuiltIn { words: Box<instant_clip_tokenizer::Tokenizer>, normalizer: Normalizers },
}

impl Tokenizer {
    /// Reads `tokenizer.json`, or `vocab.json` and `merges.txt`. `file` gives the text of a file in the tokenizer's
    /// folder, if there is one.
    pub fn load(file: &dyn Fn(&str) -> Option<String>) -> Result<Tokenizer, EngineError> {
        let words = match file("tokenizer.json") {
            Some(text) => HuggingFace::from_bytes(text).map_err(|e| bad("tokenizer.json", &e.to_string()))?,
            None => {
                let need = |name: &str| file(name).ok_or_else(|| bad(name, "it is missing, and so is tokenizer.json"));
                from_vocabulary(&need("vocab.json")?, &need("merges.txt")?).map_err(|e| bad("tokenizer", &e))?
            }
        };
        let padding = ["tokenizer_config.json", "special_tokens_map.json"].iter().find_map(|name| {
            let value: Value = json::parse(&file(name)?).ok()?;
            let pad = &value["pad_token"];
            pad.as_str().or_else(|| pad["content"].as_str()).map(str::to_owned)
        });
        Tokenizer::read(words, padding.as_deref()).ok_or_else(|| bad("tokenizer", &format!("it lacks {BEGIN} or {END}")))
    }

    fn read(mut words: HuggingFace, padding: Option<&str>) -> Option<Tokenizer> {
        // Chunks are cut here, not by what the file says about lengths.
        words.with_padding(None);
        words.with_truncation(None).ok()?;
        let (begin, end) = (words.token_to_id(BEGIN)?, words.token_to_id(END)?);
        let pad = padding.and_then(|name| words.token_to_id(name)).unwrap_or(end);
        Some(Tokenizer { kind: Kind::Read(Box::new(words)), begin, end, pad, comma: None }.with_comma())
    }

    /// CLIP's own vocabulary of 49,408 tokens.
    pub fn clip() -> Tokenizer {
        let words = Box::new(instant_clip_tokenizer::Tokenizer::new());
        let (begin, end) = (id(words.start_of_text()), id(words.end_of_text()));
        let kind = Kind::BuiltIn { words, normalizer: normalizer() };
        Tokenizer { kind, begin, end, pad: end, comma: None }.with_comma()
    }

    fn with_comma(self) -> Tokenizer {
        let comma = match self.encode(",")[..] {
            [comma] => Some(comma),
            _ => None,
        };
        Tokenizer { comma, ..self }
    }

    /// The tokens of a text, without begin and end.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        match &self.kind {
            // The only errors are a vocabulary's without an unknown token; such a text has no tokens.
            Kind::Read(words) => words.encode_fast(text, false).map(|e| e.get_ids().to_vec()).unwrap_or_default(),
            Kind::BuiltIn { words, normalizer } => built_in(words, normalizer, text),
        }
    }
}

fn id(token: Token) -> u32 {
    u32::from(token.to_u16())
}

fn bad(place: &str, what: &str) -> EngineError {
    EngineError::BadModel(Problem::new(format!("The tokenizer cannot be read: {what}.")).at(place))
}

/// Canonical composition, one space for any white space, lower case.
fn normalizer() -> Normalizers {
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".into()), " ").expect("the pattern is valid");
    let steps: Vec<NormalizerWrapper> = vec![NFC.into(), spaces.into(), Lowercase.into()];
    Normalizers::new(steps)
}

/// CLIP's tokenizer around a vocabulary: token to id, and pairs in the order in which they are merged.
fn from_vocabulary(vocab: &str, merges: &str) -> Result<HuggingFace, String> {
    let vocab: HashMap<String, u32> = serde_json::from_str(vocab).map_err(|e| format!("vocab.json: {e}"))?;
    let pairs = merges.lines().filter(|line| !line.starts_with("#version") && !line.is_empty());
    let pair = |line: &str| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).ok_or(format!("merges.txt: {line}"));
    let merges = pairs.map(pair).collect::<Result<Vec<_>, String>>()?;
    let special = [BEGIN, END].map(|name| AddedToken::from(name, true));
    let builder = BPE::builder().vocab_and_merges(vocab.into_iter().collect::<Vocab>(), merges);
    let model = builder.unk_token(END.into()).end_of_word_suffix("</w>".into()).continuing_subword_prefix(String::new());
    let model = model.build().map_err(|e| e.to_string())?;
    let split = Split::new(SplitPattern::Regex(WORDS.into()), SplitDelimiterBehavior::Removed, true);
    let split = split.map_err(|e| e.to_string())?;
    let steps: Vec<PreTokenizerWrapper> = vec![split.into(), ByteLevel::new(false, true, true).into()];
    let mut words = HuggingFace::new(model);
    words.with_normalizer(Some(normalizer())).map_err(|e| e.to_string())?;
    words.with_pre_tokenizer(Some(PreTokenizers::new(steps)));
    words.add_special_tokens(special).map_err(|e| e.to_string())?;
    Ok(words)
}

/// Tokens of the built-in vocabulary. Its own special words are others than CLIP's: those two are cut apart, so that
/// they are read as text, and CLIP's are put in.
fn built_in(words: &instant_clip_tokenizer::Tokenizer, normalizer: &Normalizers, text: &str) -> Vec<u32> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let special = [(BEGIN, words.start_of_text()), (END, words.end_of_text())];
        let next = special.into_iter().filter_map(|(name, token)| Some((rest.find(name)?, name.len(), token)));
        let (plain, after, token) = match next.min_by_key(|(at, ..)| *at) {
            Some((at, length, token)) => (&rest[..at], &rest[at + length..], Some(token)),
            None => (rest, "", None),
        };
        let mut normal = NormalizedString::from(plain);
        // None of the three steps can fail.
        let _ = normalizer.normalize(&mut normal);
        let mut piece = normal.get();
        while let Some(at) = ["<start_of_text>", "<end_of_text>"].iter().filter_map(|name| piece.find(name)).min() {
            words.encode(&piece[..=at], &mut tokens);
            piece = &piece[at + 1..];
        }
        words.encode(piece, &mut tokens);
        tokens.extend(token);
        rest = after;
    }
    tokens.into_iter().map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::{fs, path::PathBuf};

    #[derive(Deserialize)]
    struct Recorded {
        text: String,
        ids: Vec<u32>,
    }

    fn folder() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
    }

    fn equals_the_recording(tokenizer: &Tokenizer, file: &str) {
        let text = fs::read_to_string(folder().join("text").join(file)).unwrap();
        let recorded: Vec<Recorded> = serde_json::from_str(&text).unwrap();
        assert!(recorded.len() > 20);
        for Recorded { text, ids } in recorded {
            let found = [&[tokenizer.begin][..], &tokenizer.encode(&text), &[tokenizer.end]].concat();
            assert_eq!(found, ids, "{text:?}");
        }
    }

    #[test]
    fn files_of_a_model_tokenize_as_the_reference_does() {
        let tokenizer = Tokenizer::load(&|name| fs::read_to_string(folder().join("text").join(name)).ok()).unwrap();
        assert_eq!(tokenizer.comma, Some(267));
        equals_the_recording(&tokenizer, "tokens.json");
    }

    #[test]
    fn the_built_in_vocabulary_tokenizes_as_the_reference_does() {
        let tokenizer = Tokenizer::clip();
        assert_eq!((tokenizer.begin, tokenizer.end, tokenizer.pad, tokenizer.comma), (49406, 49407, 49407, Some(267)));
        equals_the_recording(&tokenizer, "clip_tokens.json");
    }

    #[test]
    fn a_damaged_vocabulary_is_an_error_that_says_so() {
        assert!(from_vocabulary("{", "").is_err_and(|e| e.contains("vocab.json")));
        assert!(from_vocabulary("{}", "#version: 0.2\nonly").is_err_and(|e| e.contains("merges.txt")));
        assert!(from_vocabulary("{\"a\": 0}", "b c").is_err());
        assert!(matches!(Tokenizer::load(&|_| None), Err(EngineError::BadModel(_))));
    }
}
