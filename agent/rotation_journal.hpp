// The journal of the cluster's state: enabling, rotation, retirement, and what holds them up. Loop thread.
#pragma once

#include "agent/cluster/rotation_driver.hpp"

namespace volcrypt {

// The driver's options as the daemon has them: every change of state and every new cause of waiting is one line.
cluster::DriverOptions journalled(std::chrono::seconds coordinator_lease);

}  // namespace volcrypt
