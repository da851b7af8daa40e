//! [`DataKey`]: the key of one subject, and how any key is wrapped by another.

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, AeadCore, OsRng, Payload, rand_core::RngCore},
};

const NONCE_BYTES: usize = 12;

#[derive(PartialEq, Eq)]
pub(crate) struct DataKey {
    pub id: String,
    /// The cipher is made from it for each use, which takes less than a text's encryption and a tenth of the memory.
    pub key: [u8; 32],
}

/// Nonce, ciphertext and tag. `about` is authenticated with it: it can't be put in another's place.
pub(crate) fn encrypt(key: &[u8; 32], about: &[u8], plain: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new(key.into());
    let nonce = Aes256Gcm::generate_nonce(&mut OsRng);
    let sealed =
        cipher.encrypt(&nonce, Payload { msg: plain, aad: about }).expect("AES-GCM refuses only texts of over 64 GiB");
    [&nonce[..], &sealed].concat()
}

/// None where the key is another, or anything was changed.
pub(crate) fn decrypt(key: &[u8; 32], about: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let cipher = Aes256Gcm::new(key.into());
    cipher.decrypt(&Nonce::from(*nonce), Payload { msg: body, aad: about }).ok()
}

pub(crate) fn random_key() -> [u8; 32] {
    Aes256Gcm::generate_key(&mut OsRng).into()
}

/// 128 bits of chance, to name something by.
pub(crate) fn random_name() -> [u8; 16] {
    let mut name = [0; 16];
    OsRng.fill_bytes(&mut name);
    name
}
