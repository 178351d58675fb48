// Runs in a machine, as root: the conformance suite of Devices over the two blank drives named on the command line.
#include <cstdio>

#include "agent/volumes/dm_devices.hpp"
#include "tests/support/devices_conformance.hpp"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: guest_devices BLANK OTHER\n", stderr);
    return 2;
  }
  try {
    volcrypt::volumes::DmDevices devices;
    volcrypt::test::check_devices(devices, argv[1], argv[2]);
    std::puts("every promise kept");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
