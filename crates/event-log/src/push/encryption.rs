//! Message encryption for Web Push: RFC 8188 (`aes128gcm`) with keys by RFC 8291.

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Salt},
    rand,
};

/// Maximum length of the plaintext, in bytes, with which the message fits into the 4,096 bytes that
/// push services accept.
pub(super) const MAX_PLAINTEXT_LEN: usize = 3_993;
/// Size of the only record of a message, in bytes.
const RECORD_SIZE: u32 = 4_096;
const SALT: usize = 16;
/// Length of an uncompressed P-256 point, in bytes.
pub(super) const POINT: usize = 65;
pub(super) const AUTH: usize = 16;

/// Encrypts a message for a device with an ephemeral key. `device` is the device's public key,
/// `auth` its authentication secret.
pub(super) fn encrypt(device: &[u8], auth: &[u8], plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let mut salt = [0; SALT];
    rand::fill(&mut salt)?;
    encrypt_with(&PrivateKey::generate(&ECDH_P256)?, salt, device, auth, plain)
}

/// True if `device` is a valid P-256 point for key agreement.
pub(super) fn is_public_key(device: &[u8]) -> bool {
    let agreed = PrivateKey::generate(&ECDH_P256)
        .and_then(|key| agreement::agree(&key, UnparsedPublicKey::new(&ECDH_P256, device), Unspecified, |_| Ok(())));
    device.len() == POINT && agreed.is_ok()
}

fn encrypt_with(
    own: &PrivateKey,
    salt: [u8; SALT],
    device: &[u8],
    auth: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, Unspecified> {
    let public = own.compute_public_key()?;
    let info = [&b"WebPush: info\0"[..], device, public.as_ref()];
    let agree = UnparsedPublicKey::new(&ECDH_P256, device);
    let key = agreement::agree(own, agree, Unspecified, |secret| {
        let mut key = [0; 32];
        Salt::new(HKDF_SHA256, auth).extract(secret).expand(&info, Length(32))?.fill(&mut key)?;
        Ok(key)
    })?;
    encode(&key, salt, public.as_ref(), plain)
}

/// Encodes the content by RFC 8188, as a single record.
fn encode(key: &[u8], salt: [u8; SALT], key_id: &[u8], plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
    let (mut content_key, mut nonce) = ([0; 16], [0; NONCE_LEN]);
    let secret = Salt::new(HKDF_SHA256, &salt).extract(key);
    secret.expand(&[&b"Content-Encoding: aes128gcm\0"[..]], Length(content_key.len()))?.fill(&mut content_key)?;
    secret.expand(&[&b"Content-Encoding: nonce\0"[..]], Length(nonce.len()))?.fill(&mut nonce)?;
    let mut record = plain.to_vec();
    // Delimiter that marks the last record.
    record.push(2);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &content_key)?);
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)?;
    let id_length = u8::try_from(key_id.len()).map_err(|_| Unspecified)?;
    let mut body = Vec::with_capacity(SALT + 5 + key_id.len() + record.len());
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD_SIZE.to_be_bytes());
    body.push(id_length);
    body.extend_from_slice(key_id);
    body.extend_from_slice(&record);
    Ok(body)
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn matches_the_example_of_rfc_8291() {
        let own =
            PrivateKey::from_private_key(&ECDH_P256, &bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")).unwrap();
        let device = bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let plain = b"When I grow up, I want to be a watermelon";
        let body = encrypt_with(&own, salt, &device, &bytes("BTBZMqHH6r4Tts7J_aSIgg"), plain).unwrap();
        let expected = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(body), expected);
        assert!(is_public_key(&device));
    }

    #[test]
    fn matches_the_first_example_of_rfc_8188() {
        let salt = bytes("I1BsxtFttlv3u_Oo94xnmw").try_into().unwrap();
        let body = encode(&bytes("yqdlZ-tYemfogSmv7Ws5PQ"), salt, b"", b"I am the walrus").unwrap();
        assert_eq!(
            BASE64_URL_SAFE_NO_PAD.encode(body),
            "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg"
        );
    }

    #[test]
    fn encrypts_the_longest_text() {
        let device = PrivateKey::generate(&ECDH_P256).unwrap().compute_public_key().unwrap();
        let body = encrypt(device.as_ref(), &[7; AUTH], &[b'x'; MAX_PLAINTEXT_LEN]).unwrap();
        assert!(body.len() <= 4_096, "{}", body.len());
        assert!(!is_public_key(&[4; POINT]), "a point that is not on the curve");
        assert!(!is_public_key(b"short"));
        assert!(encrypt(b"short", &[7; AUTH], b"x").is_err());
    }
}
