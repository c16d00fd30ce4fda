//! Key sets of providers (JWK Set, RFC 7517) and the verification of signatures with their keys.
//!
//! A token's header chooses a key by `kid` and an algorithm of [`SignatureAlgorithm`]. A key verifies only the algorithm that
//! belongs to its own `kty`, `crv`, `alg` and `use`, so that no key can be used as another kind of key.

use base64::{
    Engine as _, alphabet,
    engine::{GeneralPurpose, general_purpose::NO_PAD},
};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::Deserialize;
use serde_json::Value;

use crate::claims::text;

/// Base64 decoder for keys. It accepts set unused bits in the last character, which some providers' encoders produce.
const KEY_BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));
/// Minimum size of an RSA modulus, in bits. The cryptography library refuses smaller keys and those of more than 8192 bits.
const MIN_RSA_BITS: usize = 2048;
/// Length of a coordinate on the curve P-256, in bytes.
const P256_COORDINATE_LEN: usize = 32;

/// Accepted signature algorithms of ID tokens. A closed list: `none` and shared secrets can't be expressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignatureAlgorithm {
    Rs256,
    Es256,
}

impl SignatureAlgorithm {
    /// Parses the header parameter `alg`, which is case-sensitive.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Rs256, Self::Es256].into_iter().find(|algorithm| algorithm.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    /// `kty` of the keys that sign with this algorithm.
    const fn key_type(self) -> &'static str {
        match self {
            Self::Rs256 => "RSA",
            Self::Es256 => "EC",
        }
    }
}

impl From<SignatureAlgorithm> for Algorithm {
    fn from(algorithm: SignatureAlgorithm) -> Self {
        match algorithm {
            SignatureAlgorithm::Rs256 => Self::RS256,
            SignatureAlgorithm::Es256 => Self::ES256,
        }
    }
}

/// Public keys of a provider. Malformed entries are skipped, so that they don't make the others unusable.
#[derive(Debug, Deserialize)]
#[serde(from = "KeySetDocument")]
pub(crate) struct KeySet(Vec<PublicKey>);

#[derive(Deserialize)]
struct KeySetDocument {
    keys: Vec<Value>,
}

impl From<KeySetDocument> for KeySet {
    fn from(document: KeySetDocument) -> Self {
        let keys = document.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Self(keys.map(PublicKey::from).collect())
    }
}

impl KeySet {
    /// Returns the keys that may have signed with `algorithm`: the one named `id`, or all if the token names none.
    pub(crate) fn candidates(&self, id: Option<&str>, algorithm: SignatureAlgorithm) -> Vec<&PublicKey> {
        let is_named = |key: &PublicKey| id.is_none() || key.id.as_deref() == id;
        self.0.iter().filter(|key| is_named(key) && key.is_for(algorithm)).collect()
    }
}

/// Parsed members of a JSON Web Key; the others may have any form.
///
/// `jsonwebtoken::jwk::Jwk` isn't used because it rejects keys for malformed members that aren't needed here.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(default, deserialize_with = "text")]
    n: Option<String>,
    #[serde(default, deserialize_with = "text")]
    e: Option<String>,
    #[serde(default, deserialize_with = "text")]
    crv: Option<String>,
    #[serde(default, deserialize_with = "text")]
    x: Option<String>,
    #[serde(default, deserialize_with = "text")]
    y: Option<String>,
}

/// A key of a provider.
#[derive(Debug)]
pub(crate) struct PublicKey {
    id: Option<String>,
    key_type: String,
    usage: Option<String>,
    algorithm: Option<String>,
    material: Material,
}

/// Key material in the form that the cryptography library needs.
#[derive(Debug)]
enum Material {
    Usable(DecodingKey),
    /// An RSA key of fewer than [`MIN_RSA_BITS`] bits.
    TooShort,
    /// A key that is malformed, of another type, or on another curve.
    Unsupported,
}

impl From<Jwk> for PublicKey {
    fn from(jwk: Jwk) -> Self {
        let material = match jwk.kty.as_str() {
            "RSA" => Material::rsa(jwk.n.as_deref(), jwk.e.as_deref()),
            "EC" if jwk.crv.as_deref() == Some("P-256") => Material::p256(jwk.x.as_deref(), jwk.y.as_deref()),
            _ => Material::Unsupported,
        };
        Self { id: jwk.kid, key_type: jwk.kty, usage: jwk.usage, algorithm: jwk.alg, material }
    }
}

impl PublicKey {
    fn is_for(&self, algorithm: SignatureAlgorithm) -> bool {
        self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.key_type == algorithm.key_type()
            && self.algorithm.as_deref().is_none_or(|own| own == algorithm.name())
    }

    /// True if the key is too short to be trusted.
    pub(crate) const fn is_too_short(&self) -> bool {
        matches!(self.material, Material::TooShort)
    }

    /// True if this key made `signature`, which is base64url, over `signed`.
    pub(crate) fn verifies(&self, algorithm: SignatureAlgorithm, signed: &str, signature: &str) -> bool {
        let Material::Usable(key) = &self.material else { return false };
        self.is_for(algorithm)
            && crypto::verify(signature, signed.as_bytes(), key, algorithm.into()).is_ok_and(|is_valid| is_valid)
    }
}

impl Material {
    /// RSA key from modulus and exponent. Leading zeros are removed: some providers write them, the library rejects
    /// them.
    fn rsa(modulus: Option<&str>, exponent: Option<&str>) -> Self {
        let number = |member: Option<&str>| {
            let bytes = decode(member)?;
            let leading_zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            Some(bytes[leading_zeros..].to_vec()).filter(|bytes| !bytes.is_empty())
        };
        let (Some(modulus), Some(exponent)) = (number(modulus), number(exponent)) else { return Self::Unsupported };
        if bit_length(&modulus) < MIN_RSA_BITS {
            return Self::TooShort;
        }
        Self::Usable(DecodingKey::from_rsa_raw_components(&modulus, &exponent))
    }

    /// Key on the curve P-256. The library checks that the point is on the curve.
    fn p256(x: Option<&str>, y: Option<&str>) -> Self {
        let coordinate = |member| decode(member).filter(|bytes| bytes.len() == P256_COORDINATE_LEN);
        let (Some(x), Some(y)) = (coordinate(x), coordinate(y)) else { return Self::Unsupported };
        // An uncompressed point (SEC 1, 2.3.3), which `from_ec_der` accepts as it is.
        Self::Usable(DecodingKey::from_ec_der(&[&[0x04_u8][..], &x, &y].concat()))
    }
}

fn decode(member: Option<&str>) -> Option<Vec<u8>> {
    KEY_BASE64.decode(member?).ok()
}

/// Number of bits of a big-endian number without leading zero bytes.
fn bit_length(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |byte| byte.leading_zeros() as usize);
    number.len() * 8 - unused
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use appcore::auth::token;
    use aws_lc_rs::{
        encoding::{AsDer as _, Pkcs8V1Der},
        rsa::{KeyPair, KeySize},
        signature::{
            ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
            KeyPair as _,
        },
    };
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, jwk};
    use serde_json::json;

    use super::*;

    const SIGNED: &str = "header.claims";
    /// RSA key of 1024 bits, and its signature (RS256) over [`SIGNED`], made by OpenSSL.
    const SHORT_MODULUS: &str = "oNI7Y7KMRPjWQiGPAiPDgF8PJ4vEZzcPaCtayWPpGXOS8FpbUGLtkmTiMS7hUAHYBZXAinjyWXmahysAB-jyxhbrpSsH0bV0mPTpsm6OS-XzRgd_ZIz6nss2YQJxy0NnLS9x5W_1E4qUbVH2ZgQyx55ilNg9SXWBgXPJMUNUn9c";
    const SHORT_SIGNATURE: &str = "EDF71fj_Nf_0x9zp_gBUW9tjqabJI03A1jtUTK2_gSlfacoJre92Y1lrM515l_H2K3ydqz4E4xHdUA89o0doW7llW3Re4-ukW32t-5CXJqKVEPiTNjv0ONuMMsk03sccnIFnclW2uTTAQUGvyOf_wxjzlTWXGXz_jN_FW6h2uXE";

    static RSA: LazyLock<EncodingKey> = LazyLock::new(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'static> = pair.as_der().unwrap();
        EncodingKey::from_rsa_pem(token::pkcs8_to_pem(der.as_ref()).as_bytes()).unwrap()
    });

    /// The test RSA key as published by a provider, with these members changed; `null` removes one.
    fn rsa(changed: &Value) -> Value {
        let key = jwk::Jwk::from_encoding_key(&RSA, Algorithm::RS256).unwrap();
        let jwk::AlgorithmParameters::RSA(parameters) = key.algorithm else { panic!("an RSA key") };
        with(json!({ "kty": "RSA", "kid": "1", "use": "sig", "n": parameters.n, "e": parameters.e }), changed)
    }

    fn with(mut key: Value, changed: &Value) -> Value {
        for (name, value) in changed.as_object().unwrap() {
            key[name] = value.clone();
        }
        key.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        key
    }

    /// A new key on a curve, with its published form.
    fn ec(curve: &str, algorithm: &'static EcdsaSigningAlgorithm) -> (EncodingKey, Value) {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        let [x, y] = [x, y].map(|coordinate| BASE64_URL_SAFE_NO_PAD.encode(coordinate));
        let signing = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        (signing, json!({ "kty": "EC", "crv": curve, "kid": "1", "use": "sig", "x": x, "y": y }))
    }

    fn sign(key: &EncodingKey, algorithm: Algorithm) -> String {
        crypto::sign(SIGNED.as_bytes(), key, algorithm).unwrap()
    }

    fn set(keys: &[Value]) -> KeySet {
        serde_json::from_value(json!({ "keys": keys })).unwrap()
    }

    /// Returns the number of candidate keys, and whether one of them made the signature.
    fn check(keys: &[Value], id: Option<&str>, algorithm: SignatureAlgorithm, signature: &str) -> (usize, bool) {
        let keys = set(keys);
        let candidates = keys.candidates(id, algorithm);
        (candidates.len(), candidates.iter().any(|key| key.verifies(algorithm, SIGNED, signature)))
    }

    #[test]
    fn accepts_only_rs256_and_es256() {
        assert_eq!(SignatureAlgorithm::parse("RS256"), Some(SignatureAlgorithm::Rs256));
        assert_eq!(SignatureAlgorithm::parse("ES256"), Some(SignatureAlgorithm::Es256));
        for other in
            ["", "none", "None", "rs256", "RS256 ", "HS256", "RS384", "RS512", "PS256", "ES384", "ES256K", "EdDSA"]
        {
            assert_eq!(SignatureAlgorithm::parse(other), None, "{other}");
        }
    }

    #[test]
    fn selects_keys_by_id_type_use_and_algorithm() {
        let signature = sign(&RSA, Algorithm::RS256);
        let (es256_key, es256) = ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING);
        for (changed, id, is_candidate) in [
            (json!({}), Some("1"), true),
            (json!({}), None, true),
            (json!({ "kid": null }), None, true),
            (json!({ "kid": null }), Some("1"), false),
            (json!({ "kid": "" }), Some(""), true),
            (json!({ "kid": "a" }), Some("A"), false),
            (json!({}), Some("2"), false),
            (json!({ "use": null }), Some("1"), true),
            (json!({ "use": "enc" }), Some("1"), false),
            (json!({ "use": "enc" }), None, false),
            (json!({ "use": "Sig" }), Some("1"), false),
            (json!({ "use": ["sig"] }), Some("1"), false),
            (json!({ "alg": "RS256" }), Some("1"), true),
            (json!({ "alg": "RS512" }), Some("1"), false),
            (json!({ "alg": "PS256" }), Some("1"), false),
            (json!({ "alg": "RSA-OAEP" }), Some("1"), false),
            (json!({ "alg": "HS256" }), Some("1"), false),
            (json!({ "alg": "none" }), Some("1"), false),
            (json!({ "alg": "" }), Some("1"), false),
            (json!({ "kty": "EC" }), Some("1"), false),
            (json!({ "kty": "oct" }), Some("1"), false),
            (json!({ "kty": "rsa" }), Some("1"), false),
            (json!({ "kty": null }), Some("1"), false),
            // Malformed members that are not needed don't matter.
            (json!({ "x5c": "no list", "x5t": 7, "key_ops": "verify", "ext": [] }), Some("1"), true),
        ] {
            let found = check(&[rsa(&changed)], id, SignatureAlgorithm::Rs256, &signature);
            assert_eq!(found, (usize::from(is_candidate), is_candidate), "{changed} {id:?}");
        }
        // Other kinds of keys are skipped, whether the token names a key or not.
        let keys = [rsa(&json!({ "use": "enc" })), es256, rsa(&json!({}))];
        for id in [Some("1"), None] {
            assert_eq!(check(&keys, id, SignatureAlgorithm::Rs256, &signature), (1, true));
            let signature = sign(&es256_key, Algorithm::ES256);
            assert_eq!(check(&keys, id, SignatureAlgorithm::Es256, &signature), (1, true));
        }
        // If several keys have the same id, each is tried.
        let (_, stranger) = ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING);
        let signature = sign(&es256_key, Algorithm::ES256);
        let keys = [stranger, keys[1].clone()];
        assert_eq!(check(&keys, Some("1"), SignatureAlgorithm::Es256, &signature), (2, true));
        assert_eq!(check(&keys[..1], Some("1"), SignatureAlgorithm::Es256, &signature), (1, false));
    }

    #[test]
    fn rejects_malformed_sets_and_skips_malformed_keys() {
        for malformed in
            [json!(null), json!({}), json!({ "keys": null }), json!({ "keys": {} }), json!({ "keys": "x" })]
        {
            assert!(serde_json::from_value::<KeySet>(malformed.clone()).is_err(), "{malformed}");
        }
        let signature = sign(&RSA, Algorithm::RS256);
        let odd = [
            json!(null),
            json!(7),
            json!("RSA"),
            json!([]),
            json!({}),
            json!({ "kty": 7, "kid": "1" }),
            json!({ "kty": "AKP", "kid": "1", "alg": "ML-DSA-44", "pub": "x" }),
            json!({ "kty": "OKP", "kid": "1", "crv": "Ed25519", "x": "x" }),
            rsa(&json!({ "kid": 1 })),
            rsa(&json!({ "alg": ["RS256"] })),
        ];
        assert_eq!(check(&odd, None, SignatureAlgorithm::Rs256, &signature), (0, false));
        let keys = [&odd[..], &[rsa(&json!({}))]].concat();
        assert_eq!(check(&keys, Some("1"), SignatureAlgorithm::Rs256, &signature), (1, true));
        assert_eq!(check(&[], None, SignatureAlgorithm::Rs256, &signature), (0, false));
        // Keys of the right type with unusable material verify nothing.
        for changed in [
            json!({ "n": null }),
            json!({ "n": 7 }),
            json!({ "n": "" }),
            json!({ "n": "+/+/" }),
            json!({ "n": "AAAA" }),
            json!({ "e": null }),
            json!({ "e": "" }),
            json!({ "e": "AA" }),
            json!({ "e": "AQ" }),
            json!({ "e": "AAEAAA" }),
        ] {
            let found = check(&[rsa(&changed)], Some("1"), SignatureAlgorithm::Rs256, &signature);
            assert_eq!(found, (1, false), "{changed}");
        }
        let (key, public) = ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING);
        let signature = sign(&key, Algorithm::ES256);
        let zeros = BASE64_URL_SAFE_NO_PAD.encode([0; 32]);
        let longer = |member: &str| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(public[member].as_str().unwrap()).unwrap();
            BASE64_URL_SAFE_NO_PAD.encode([&[0_u8][..], &bytes].concat())
        };
        for changed in [
            json!({ "x": null }),
            json!({ "y": "" }),
            json!({ "x": public["y"], "y": public["x"] }),
            json!({ "x": zeros, "y": zeros }),
            json!({ "x": longer("x") }),
            json!({ "crv": null }),
            json!({ "crv": "P-384" }),
            json!({ "crv": "secp256k1" }),
        ] {
            let found = check(&[with(public.clone(), &changed)], Some("1"), SignatureAlgorithm::Es256, &signature);
            assert_eq!(found, (1, false), "{changed}");
        }
    }

    #[test]
    fn rejects_signatures_of_other_algorithms() {
        let keys = [rsa(&json!({})), rsa(&json!({ "kty": "oct", "k": "c2VjcmV0" }))];
        let secrets = ["secret".to_owned(), keys[0].to_string(), keys[0]["n"].as_str().unwrap().to_owned()];
        let by_secret = secrets.map(|secret| sign(&EncodingKey::from_secret(secret.as_bytes()), Algorithm::HS256));
        let by_key = [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256].map(|algorithm| sign(&RSA, algorithm));
        for signature in by_secret.iter().chain(&by_key).map(String::as_str).chain(["", "AA", "not base64!"]) {
            assert_eq!(check(&keys, None, SignatureAlgorithm::Rs256, signature), (1, false), "{signature}");
            assert_eq!(check(&keys, None, SignatureAlgorithm::Es256, signature), (0, false), "{signature}");
        }
        let good = sign(&RSA, Algorithm::RS256);
        assert_eq!(check(&keys, None, SignatureAlgorithm::Rs256, &good), (1, true));
        // A key verifies only its own algorithm, even if the caller has not selected it.
        assert!(!set(&keys).0[0].verifies(SignatureAlgorithm::Es256, SIGNED, &good));
        assert!(!set(&keys).0[0].verifies(SignatureAlgorithm::Rs256, "header.other", &good));
        assert!(!set(&[rsa(&json!({ "use": "enc" }))]).0[0].verifies(SignatureAlgorithm::Rs256, SIGNED, &good));

        let (p384, public) = ec("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING);
        let signature = sign(&p384, Algorithm::ES384);
        for changed in [json!({}), json!({ "crv": "P-256" })] {
            let found = check(&[with(public.clone(), &changed)], None, SignatureAlgorithm::Es256, &signature);
            assert_eq!(found, (1, false), "{changed}");
        }
        let (p256, public) = ec("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING);
        let (keys, signature) = ([public], sign(&p256, Algorithm::ES256));
        assert_eq!(check(&keys, None, SignatureAlgorithm::Es256, &signature), (1, true));
        // A signature with r = s = 0 passes careless verifiers.
        for forged in [BASE64_URL_SAFE_NO_PAD.encode([0; 64]), BASE64_URL_SAFE_NO_PAD.encode([0; 63])] {
            assert_eq!(check(&keys, None, SignatureAlgorithm::Es256, &forged), (1, false));
        }
    }

    #[test]
    fn accepts_leading_zeros_and_trailing_bits() {
        let signature = sign(&RSA, Algorithm::RS256);
        let key = rsa(&json!({}));
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
        let zeros = BASE64_URL_SAFE_NO_PAD.encode([&[0_u8, 0][..], &bytes].concat());
        let mut trailing = key["n"].as_str().unwrap().to_owned();
        // A signature of 256 bytes has 342 characters in base64. The last one has four unused bits, which a correct
        // encoder sets to zero.
        let last = trailing.pop().unwrap();
        assert!("AQgw".contains(last), "{last}");
        trailing.push(char::from(u8::try_from(last).unwrap() + 1));
        for changed in [json!({ "n": zeros }), json!({ "n": trailing }), json!({ "e": "AAEAAQ" })] {
            let found = check(&[rsa(&changed)], Some("1"), SignatureAlgorithm::Rs256, &signature);
            assert_eq!(found, (1, true), "{changed}");
        }
    }

    #[test]
    fn rejects_rsa_keys_of_fewer_than_2048_bits() {
        let zeros = format!("AAAA{SHORT_MODULUS}");
        // Leading zeros don't make a key longer.
        let padded = format!("{}{SHORT_MODULUS}", "AAAA".repeat(64));
        for modulus in [SHORT_MODULUS, &zeros, &padded] {
            let keys = set(&[json!({ "kty": "RSA", "kid": "1", "n": modulus, "e": "AQAB" })]);
            let candidates = keys.candidates(Some("1"), SignatureAlgorithm::Rs256);
            assert_eq!(candidates.iter().filter(|key| key.is_too_short()).count(), 1, "{modulus}");
            assert!(!candidates[0].verifies(SignatureAlgorithm::Rs256, SIGNED, SHORT_SIGNATURE));
        }
        let keys = set(&[rsa(&json!({}))]);
        assert!(!keys.candidates(None, SignatureAlgorithm::Rs256)[0].is_too_short());
        assert_eq!((bit_length(&[]), bit_length(&[1]), bit_length(&[0x80, 0])), (0, 1, 16));
    }
}
