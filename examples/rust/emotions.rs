//! Prints the emotions of a WAV file: emotions waveform.onnx FILE.wav
//! rustc -O emotions.rs -L ONNXRUNTIME/lib     (no crate: the places in onnxruntime's table of functions never change)
use std::{env, ffi::{c_char, c_void, CStr, CString}, fs, mem, process, ptr};

#[link(name = "onnxruntime")]
extern "C" {
    fn OrtGetApiBase() -> *const extern "C" fn(u32) -> *const *const c_void;
}

fn die(what: &str, why: &str) -> ! {
    process::exit({ eprintln!("{what}: {why}"); 2 })
}

/// Calls the function at a place of the table, and ends the program with its message if it fails.
macro_rules! call {
    (any $argument:expr) => { _ };
    ($api:ident, $place:literal, $($argument:expr),*) => {
        let function: extern "C" fn($(call!(any $argument)),*) -> *const c_void = mem::transmute(*$api.add($place));
        let status = function($($argument),*);
        if !status.is_null() {
            let message: extern "C" fn(*const c_void) -> *const c_char = mem::transmute(*$api.add(2)); // GetErrorMessage
            die("onnxruntime", &CStr::from_ptr(message(status)).to_string_lossy());
        }
    };
}

/// Reads a 16-bit WAV file of 16 kHz, mixed down to one channel, full scale 1.0.
fn read_wav(path: &str) -> Vec<f32> {
    let bytes = fs::read(path).unwrap_or_else(|_| die(path, "cannot be read"));
    let number = |from: usize, to: usize| bytes[from..to].iter().rev().fold(0, |sum, byte| sum * 256 + *byte as usize);
    let (mut place, mut channels) = (12, 0);
    while place + 8 <= bytes.len() {
        let (mark, begin, size) = (&bytes[place..place + 4], place + 8, number(place + 4, place + 8));
        if mark == b"fmt " && place + 24 <= bytes.len() {
            channels = number(begin + 2, begin + 4);
            if number(begin + 4, begin + 8) != 16000 || number(begin + 14, begin + 16) != 16 || channels == 0 {
                die(path, "must have 16000 Hz and 16 bits; convert it: ffmpeg -i IN -ar 16000 -c:a pcm_s16le OUT.wav");
            }
        } else if mark == b"data" && channels > 0 {
            let level = |two: &[u8]| i16::from_le_bytes([two[0], two[1]]) as f32 / 32768.0 / channels as f32;
            let frames = bytes[begin..bytes.len().min(begin + size)].chunks_exact(2 * channels);
            return frames.map(|frame| frame.chunks_exact(2).map(level).sum()).collect();
        }
        place = begin + size + size % 2;
    }
    die(path, "is not a WAV file with samples")
}

fn main() {
    let given: Vec<String> = env::args().collect();
    let [_, model, path] = &given[..] else { die("usage", "emotions waveform.onnx FILE.wav") };
    let mut samples = read_wav(path);
    let texts = ["samples", "probabilities", "sure", "outputs", model].map(|text| CString::new(text).unwrap());
    let [input_name, first, second, key, file] = texts.each_ref().map(|text| text.as_ptr());
    let null = ptr::null_mut::<c_void>();
    let [mut environment, mut options, mut session, mut memory, mut input, mut allocator, mut facts] = [null; 7];
    let (mut found, mut sure, mut labels) = (ptr::null::<f32>(), ptr::null::<bool>(), ptr::null::<c_char>());
    let mut out = [null; 2];
    let shape = [1, samples.len() as i64];
    unsafe {
        let api = (*OrtGetApiBase())(12);
        call!(api, 3, 2i32, input_name, &mut environment); // CreateEnv, for warnings
        call!(api, 10, &mut options); // CreateSessionOptions
        call!(api, 7, environment, file, options, &mut session); // CreateSession
        call!(api, 69, 1i32, 0i32, &mut memory); // CreateCpuMemoryInfo
        call!(api, 49, memory, samples.as_mut_ptr(), 4 * samples.len(), shape.as_ptr(), 2usize, 1i32, &mut input);
        call!(api, 9, session, null, &input_name, &input, 1usize, [first, second].as_ptr(), 2usize, out.as_mut_ptr()); // Run
        call!(api, 51, out[0], &mut found); // GetTensorMutableData
        call!(api, 51, out[1], &mut sure);
        call!(api, 78, &mut allocator); // GetAllocatorWithDefaultOptions
        call!(api, 111, session, &mut facts); // SessionGetModelMetadata
        call!(api, 116, facts, allocator, key, &mut labels); // ModelMetadataLookupCustomMetadataMap
        print!("{path}:");
        for (place, label) in CStr::from_ptr(labels).to_string_lossy().split('"').skip(1).step_by(2).enumerate() {
            print!(" {label} {:.4}", *found.add(place)); // `labels` is a JSON list
        }
        println!("{}", if *sure { "" } else { " (unsure)" });
    }
}
