/* A slow disk for Redis: LD_PRELOAD puts this fdatasync before the C library's.
 *
 * It takes SLOW_DISK_MS longer, and notes next to a file how many of its bytes are safe from then
 * on: what a power cut would leave. The note is renamed into place, since a death in the middle of
 * writing it must not leave an empty one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void note(int fd, long long bytes) {
  char link[64], path[PATH_MAX], fresh[PATH_MAX + 8], safe[PATH_MAX + 8];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return;
  path[length] = 0;
  if (strstr(path, ".incr.aof") == NULL) return;
  snprintf(fresh, sizeof fresh, "%s.fresh", path);
  snprintf(safe, sizeof safe, "%s.safe", path);
  FILE *file = fopen(fresh, "w");
  if (file == NULL) return;
  fprintf(file, "%lld", bytes);
  if (fclose(file) == 0) rename(fresh, safe);
}

int fdatasync(int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  const char *ms = getenv("SLOW_DISK_MS");
  struct stat before;
  int known = fstat(fd, &before) == 0;
  usleep((ms == NULL ? 0 : atoi(ms)) * 1000);
  int result = real(fd);
  if (result == 0 && known) note(fd, (long long)before.st_size);
  return result;
}
