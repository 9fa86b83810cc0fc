#include "messages/once.hpp"

#include <xxhash.h>

#include "messages/limits.hpp"
#include "messages/pack.hpp"
#include "messages/pack_operation.hpp"
#include "messages/unpack.hpp"

namespace dkv {

namespace {

constexpr std::size_t kMaxTokens = 8 + 8 * kMaxOperations;

void append_big_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
    out.push_back(static_cast<char>((value >> shift) & 0xff));
}

}  // namespace

OnceId OnceId::of(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return {hash.high64 | 1, (hash.low64 >> 1) + 1};
}

std::string outcome_key(std::uint16_t slot, OnceId id) {
  std::string key(kReservedPrefix);
  append_big_endian(key, slot, 2);
  append_big_endian(key, id.client_id, 8);
  append_big_endian(key, id.number, 8);
  return key;
}

std::uint64_t fingerprint(std::span<const Operation> operations) {
  std::uint64_t hash = operations.size();
  std::string head;
  for (Operation operation : operations) {
    const std::string_view value = std::exchange(operation.value, {});
    operation.report_created = false;  // asks for no other write
    head.clear();
    Packer out(head);
    pack_operation(out, operation);
    hash = XXH3_64bits_withSeed(head.data(), head.size(), hash);
    hash = XXH3_64bits_withSeed(value.data(), value.size(), hash);
  }
  return hash;
}

std::string encode(const Outcome& outcome) {
  std::string bytes;
  Packer out(bytes);
  out.array(2).uint(outcome.fingerprint).array(outcome.results.size());
  for (const OperationResult& result : outcome.results) pack_result(out, result);
  return bytes;
}

std::optional<Outcome> decode_outcome(std::string_view bytes) {
  Unpacker in;
  in.parse(bytes, kMaxTokens);
  Outcome outcome;
  in.array(2);
  outcome.fingerprint = in.uint();
  const std::size_t count = in.array();
  if (count > kMaxOperations) in.fail();
  // Of those that have a value an increment is one; the others' are empty.
  for (std::size_t i = 0; i < count && in.ok(); ++i)
    outcome.results.push_back(read_result(in, OpCode::increment));
  if (!in.done()) return std::nullopt;
  return outcome;
}

}  // namespace dkv
