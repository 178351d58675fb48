// Runs inside of the machine, for the leak tests only: puts a logon key under the given description into its thread's
// keyring, as libcryptsetup does for the moment of an activation, says so, and keeps it until it is killed.
//   key_holder DESCRIPTION
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const char payload[] = "no key at all, but as long as one: 64 bytes of nothing in particular";
  if (::syscall(SYS_add_key, "logon", argv[1], payload, 64UL, KEY_SPEC_THREAD_KEYRING) < 0) {
    std::perror("key_holder: add_key");
    return 1;
  }
  std::puts("held");
  std::fflush(stdout);
  for (;;) ::pause();
}
