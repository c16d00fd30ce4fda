//! Audio as output of a model: what a request asks for, and the samples of an answer.

use bytes::Bytes;

/// Audio that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AudioRequest {
    /// Name of the voice, at OpenAI or at the provider.
    pub voice: Option<String>,
    /// Name of the format in OpenAI's API, such as `mp3`.
    pub format: String,
}

/// Audio format that needs no encoder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum AudioFormat {
    #[default]
    Pcm16,
    Wav,
}

/// Audio of an answer: mono samples of 16 bits, little-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PcmAudio {
    /// Samples per second.
    pub rate: u32,
    pub samples: Bytes,
}

impl AudioFormat {
    /// Finds a format by its name in OpenAI's API.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "pcm16" | "pcm" => Some(Self::Pcm16),
            "wav" => Some(Self::Wav),
            _ => None,
        }
    }

    pub fn encode(self, audio: &PcmAudio) -> Bytes {
        match self {
            Self::Pcm16 => audio.samples.clone(),
            Self::Wav => wav(audio).into(),
        }
    }
}

impl PcmAudio {
    /// Duration in milliseconds.
    pub fn milliseconds(&self) -> u64 {
        self.samples.len() as u64 * 1_000 / (2 * u64::from(self.rate.max(1)))
    }
}

/// Encodes a WAV file.
fn wav(audio: &PcmAudio) -> Vec<u8> {
    const HEADER: u32 = 36;
    let length = u32::try_from(audio.samples.len()).unwrap_or(u32::MAX);
    let mut file = Vec::with_capacity(audio.samples.len() + 44);
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&length.saturating_add(HEADER).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    // Integer samples, one channel.
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&audio.rate.to_le_bytes());
    file.extend_from_slice(&audio.rate.saturating_mul(2).to_le_bytes());
    // Bytes of a sample, and its bits.
    file.extend_from_slice(&2_u16.to_le_bytes());
    file.extend_from_slice(&16_u16.to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(&audio.samples);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_samples_into_a_wav_file() {
        let audio = PcmAudio { rate: 24_000, samples: Bytes::from_static(&[1, 2, 3, 4]) };
        let file = AudioFormat::Wav.encode(&audio);
        assert_eq!((file.len(), &file[..4], &file[8..16]), (48, &b"RIFF"[..], &b"WAVEfmt "[..]));
        assert_eq!(&file[4..8], 40_u32.to_le_bytes());
        assert_eq!(&file[24..28], 24_000_u32.to_le_bytes());
        assert_eq!(&file[28..32], 48_000_u32.to_le_bytes());
        assert_eq!(&file[40..], [4, 0, 0, 0, 1, 2, 3, 4]);
        assert_eq!(AudioFormat::Pcm16.encode(&audio), audio.samples);
        let second = PcmAudio { rate: 24_000, samples: vec![0; 48_000].into() };
        assert_eq!(second.milliseconds(), 1_000);
    }
}
