// What every Devices must do: run over plain files in the image tier and over a real drive in a virtual machine. Throws
// std::runtime_error that names the first promise broken, so that it needs no test framework in the guest.
#pragma once

#include <string>

#include "agent/volumes/devices.hpp"

namespace volcrypt::test {

// `blank`: a drive of at least 4 MiB that reads zeros. It is blank again afterwards. `other`: a second such drive.
void check_devices(volumes::Devices& devices, const std::string& blank, const std::string& other);

}  // namespace volcrypt::test
