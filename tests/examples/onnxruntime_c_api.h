/* The functions of onnxruntime that examples/c uses, at their places in its table, which never change: only so that the
   tests can build the example where the header of onnxruntime is not installed. Use the real one for anything else. */
#include <stddef.h>
#include <stdint.h>

typedef struct OrtStatus OrtStatus;
typedef struct OrtEnv OrtEnv;
typedef struct OrtSession OrtSession;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtRunOptions OrtRunOptions;
typedef struct OrtMemoryInfo OrtMemoryInfo;
typedef struct OrtAllocator OrtAllocator;
typedef struct OrtModelMetadata OrtModelMetadata;
typedef struct OrtValue OrtValue;

enum { ORT_LOGGING_LEVEL_WARNING = 2, OrtArenaAllocator = 1, OrtMemTypeDefault = 0 };
enum { ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT = 1 };

#define BETWEEN(first, next) void *from_##first[next - first]

typedef struct OrtApi {
  BETWEEN(0, 2);
  const char *(*GetErrorMessage)(const OrtStatus *);
  OrtStatus *(*CreateEnv)(int, const char *, OrtEnv **);
  BETWEEN(4, 7);
  OrtStatus *(*CreateSession)(const OrtEnv *, const char *, const OrtSessionOptions *, OrtSession **);
  BETWEEN(8, 9);
  OrtStatus *(*Run)(OrtSession *, const OrtRunOptions *, const char *const *, const OrtValue *const *, size_t,
                    const char *const *, size_t, OrtValue **);
  OrtStatus *(*CreateSessionOptions)(OrtSessionOptions **);
  BETWEEN(11, 49);
  OrtStatus *(*CreateTensorWithDataAsOrtValue)(const OrtMemoryInfo *, void *, size_t, const int64_t *, size_t, int,
                                               OrtValue **);
  BETWEEN(50, 51);
  OrtStatus *(*GetTensorMutableData)(OrtValue *, void **);
  BETWEEN(52, 69);
  OrtStatus *(*CreateCpuMemoryInfo)(int, int, OrtMemoryInfo **);
  BETWEEN(70, 78);
  OrtStatus *(*GetAllocatorWithDefaultOptions)(OrtAllocator **);
  BETWEEN(79, 111);
  OrtStatus *(*SessionGetModelMetadata)(const OrtSession *, OrtModelMetadata **);
  BETWEEN(112, 116);
  OrtStatus *(*ModelMetadataLookupCustomMetadataMap)(const OrtModelMetadata *, OrtAllocator *, const char *, char **);
} OrtApi;

typedef struct {
  const OrtApi *(*GetApi)(uint32_t);
  const char *(*GetVersionString)(void);
} OrtApiBase;

const OrtApiBase *OrtGetApiBase(void);
