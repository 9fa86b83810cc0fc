// What is asked of a key and what is answered, as msgpack, in whatever message they stand. See
// messages/README.md.
#pragma once

#include <memory>

#include "messages/operation.hpp"
#include "messages/pack.hpp"
#include "messages/unpack.hpp"

namespace dkv {

/// The longest name of a node, a shard or an endpoint.
inline constexpr std::size_t kMaxNameBytes = 1024;

void pack_operation(Packer& out, const Operation& operation);
/// Views into what is read. Its limits are checked by those who answer it.
Operation read_operation(Unpacker& in);

void pack_result(Packer& out, const OperationResult& result);
/// A result does not say what was asked.
OperationResult read_result(Unpacker& in, OpCode asked);

void pack_moved(Packer& out, const std::shared_ptr<const Moved>& to);
/// Behind its code.
std::shared_ptr<const Moved> read_moved(Unpacker& in);

}  // namespace dkv
