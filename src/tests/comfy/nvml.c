/* The few functions of NVIDIA's management library that Easel calls, over one card that is a folder: CARD_DOUBLE names it.
 * Its file `total` says how many bytes the card has, and each file PID how many that process holds, while it lives. `percent`,
 * `celsius`, `milliwatts` and `slowed` (the library's bits) are told where they are there. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7 };
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } Process;

static int is_there(const char *name) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", getenv("CARD_DOUBLE"), name);
  return access(path, F_OK) == 0;
}

static unsigned long long number(const char *name) {
  char path[4096];
  unsigned long long value = 0;
  snprintf(path, sizeof path, "%s/%s", getenv("CARD_DOUBLE"), name);
  FILE *file = fopen(path, "r");
  if (file) {
    if (fscanf(file, "%llu", &value) != 1) value = 0;
    fclose(file);
  }
  return value;
}

/* Fills in up to `most` processes; how many there are. */
static unsigned holders(Process *into, unsigned most) {
  unsigned found = 0;
  DIR *folder = opendir(getenv("CARD_DOUBLE"));
  struct dirent *entry;
  while (folder && (entry = readdir(folder))) {
    unsigned pid = (unsigned)atoi(entry->d_name);
    char proc[64];
    snprintf(proc, sizeof proc, "/proc/%u", pid);
    if (!pid || access(proc, F_OK)) continue;
    if (found < most) into[found] = (Process){pid, number(entry->d_name), ~0u, ~0u};
    found++;
  }
  if (folder) closedir(folder);
  return found;
}

int nvmlInit_v2(void) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(index + 1ul); return SUCCESS; }
int nvmlDeviceGetName(void *device, char *name, unsigned length) {
  (void)device;
  snprintf(name, length, "Card of the tests");
  return SUCCESS;
}
int nvmlDeviceGetMemoryInfo_v2(void *device, Memory *memory) {
  (void)device;
  Process all[64];
  unsigned count = holders(all, 64);
  memory->total = number("total");
  memory->used = 0;
  for (unsigned i = 0; i < count && i < 64; i++) memory->used += all[i].used;
  memory->free = memory->total - memory->used;
  return SUCCESS;
}
/* The share of its time that the memory is busy is never told apart. */
int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) {
  (void)device;
  rates[0] = rates[1] = (unsigned)number("percent");
  return is_there("percent") ? SUCCESS : NOT_SUPPORTED;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
  (void)device, (void)sensor;
  *celsius = (unsigned)number("celsius");
  return is_there("celsius") ? SUCCESS : NOT_SUPPORTED;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
  (void)device;
  *milliwatts = (unsigned)number("milliwatts");
  return is_there("milliwatts") ? SUCCESS : NOT_SUPPORTED;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons) {
  (void)device;
  *reasons = number("slowed");
  return is_there("slowed") ? SUCCESS : NOT_SUPPORTED;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, Process *into) {
  (void)device;
  unsigned most = into ? *count : 0, found = holders(into, most);
  *count = found;
  return found > most ? INSUFFICIENT_SIZE : SUCCESS;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned *count, Process *into) {
  (void)device, (void)into;
  *count = 0;
  return SUCCESS;
}
