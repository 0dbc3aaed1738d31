/* Prints the emotions of a WAV file: emotions waveform.onnx FILE.wav
   cc emotions.c -I ONNXRUNTIME/include -L ONNXRUNTIME/lib -l onnxruntime -o emotions */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "onnxruntime_c_api.h"

static const OrtApi *ort;

static void die(const char *file, const char *why) {
  fprintf(stderr, "%s: %s\n", file, why);
  exit(2);
}

static void check(OrtStatus *status) {
  if (status != NULL) die("onnxruntime", ort->GetErrorMessage(status));
}

/* Reads a 16-bit WAV file of 16 kHz, mixed down to one channel, full scale 1.0; little-endian machines only. */
static float *read_wav(const char *path, int64_t *count) {
  FILE *file = fopen(path, "rb");
  char mark[4];
  uint32_t size, rate = 0;
  uint16_t channels = 0, bits = 0;
  if (file == NULL || fseek(file, 12, SEEK_SET) != 0) die(path, "cannot be read");
  while (fread(mark, 4, 1, file) == 1 && fread(&size, 4, 1, file) == 1) {
    long next = ftell(file) + (long)size + (long)(size % 2);
    if (memcmp(mark, "fmt ", 4) == 0) {
      fseek(file, 2, SEEK_CUR);
      if (fread(&channels, 2, 1, file) != 1 || fread(&rate, 4, 1, file) != 1 || fseek(file, 6, SEEK_CUR) != 0) break;
      if (fread(&bits, 2, 1, file) != 1 || rate != 16000 || bits != 16 || channels == 0)
        die(path, "must have 16000 Hz and 16 bits; convert it: ffmpeg -i IN -ar 16000 -c:a pcm_s16le OUT.wav");
    } else if (memcmp(mark, "data", 4) == 0 && channels > 0) {
      int16_t *raw = malloc(size);
      *count = (int64_t)(fread(raw, 2, size / 2, file) / channels);
      float *samples = calloc((size_t)*count + 1, sizeof(float));
      for (int64_t i = 0; i < *count * channels; i++) samples[i / channels] += (float)raw[i] / 32768 / channels;
      free(raw);
      fclose(file);
      return samples;
    }
    fseek(file, next, SEEK_SET);
  }
  return die(path, "is not a WAV file with samples"), NULL;
}

int main(int argc, char **argv) {
  if (argc != 3) die("usage", "emotions waveform.onnx FILE.wav");
  ort = OrtGetApiBase()->GetApi(12);
  int64_t shape[2] = {1, 0};
  float *samples = read_wav(argv[2], &shape[1]), *probabilities;
  char *labels, *sure;
  OrtEnv *env;
  OrtSessionOptions *options;
  OrtSession *session;
  OrtMemoryInfo *memory;
  OrtAllocator *allocator;
  OrtModelMetadata *metadata;
  OrtValue *input = NULL, *outputs[2] = {NULL, NULL};
  check(ort->CreateEnv(ORT_LOGGING_LEVEL_WARNING, "emotions", &env));
  check(ort->CreateSessionOptions(&options));
  check(ort->CreateSession(env, argv[1], options, &session));
  check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  check(ort->CreateTensorWithDataAsOrtValue(memory, samples, (size_t)shape[1] * sizeof(float), shape, 2,
                                            ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &input));
  const char *names[] = {"probabilities", "sure"}, *given = "samples";
  check(ort->Run(session, NULL, &given, (const OrtValue *const *)&input, 1, names, 2, outputs));
  check(ort->GetTensorMutableData(outputs[0], (void **)&probabilities));
  check(ort->GetTensorMutableData(outputs[1], (void **)&sure));
  check(ort->GetAllocatorWithDefaultOptions(&allocator));
  check(ort->SessionGetModelMetadata(session, &metadata));
  check(ort->ModelMetadataLookupCustomMetadataMap(metadata, allocator, "outputs", &labels));
  printf("%s:", argv[2]); /* `labels` is a JSON list: ["anger", "disgust", ...] */
  for (char *label = strtok(labels, "[\", ]"); label != NULL; label = strtok(NULL, "[\", ]"))
    printf(" %s %.4f", label, (double)*probabilities++);
  printf("%s\n", *sure ? "" : " (unsure)");
}
