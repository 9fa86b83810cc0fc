// A ballot as msgpack, the same between nodes and on a keeper's disk: [counter, node, process].
#pragma once

#include "messages/ballot.hpp"
#include "messages/pack.hpp"
#include "messages/unpack.hpp"

namespace dkv {

inline void pack_ballot(Packer& out, const Ballot& ballot) {
  out.array(3).uint(ballot.counter).uint(ballot.node.value).uint(ballot.process);
}

inline Ballot read_ballot(Unpacker& in) {
  Ballot ballot;
  in.array(3);
  ballot.counter = in.uint();
  ballot.node = NodeId{static_cast<std::uint32_t>(in.uint(UINT32_MAX))};
  ballot.process = in.uint();
  return ballot;
}

}  // namespace dkv
