// Holding: what a node says of one volume when another asks whether it has it. Pure; any thread.
#pragma once

namespace volcrypt::volumes {

enum class Holding {
  gone,     // neither mapped there nor on a drive that is there
  visible,  // a drive that carries it is there
  mapped    // /dev/mapper has it there
};

}  // namespace volcrypt::volumes
