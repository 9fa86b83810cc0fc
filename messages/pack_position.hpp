// A position, or a record's version, as msgpack: two integers, epoch and seq, in whatever array they stand.
#pragma once

#include "messages/ids.hpp"
#include "messages/pack.hpp"
#include "messages/unpack.hpp"

namespace dkv {

inline void pack_position(Packer& out, const Position& position) {
  out.uint(position.epoch.value).uint(position.seq.value);
}

inline Position read_position(Unpacker& in) {
  Position position;
  position.epoch = Epoch{in.uint()};
  position.seq = Seq{in.uint()};
  return position;
}

}  // namespace dkv
