// Reading msgpack that may be hostile. msgpack-c parses (its visitor allocates nothing that a header
// merely claims); what it finds becomes a flat, bounded list of tokens, which a codec then reads in
// order, checking every size and type as it goes.
//
// Errors stick: after the first, every read returns zero or empty, and ok() is false. So a codec reads
// all its fields and asks once. Views point into the parsed bytes and die with them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace dkv {

class Unpacker {
 public:
  /// Parses exactly one msgpack value that must span all of `bytes`, of at most `max_tokens` tokens and
  /// 16 levels. Maps, floats, negative numbers and extensions are refused: no format of ours has them.
  /// May be called again on another input; the token list's memory is reused.
  bool parse(std::string_view bytes, std::size_t max_tokens);

  /// The element count of an array that starts here. All its elements are known to exist.
  std::size_t array();
  /// An array of exactly `count` elements; anything else is an error.
  void array(std::size_t count);
  std::uint64_t uint();
  /// An unsigned integer of at most `max`.
  std::uint64_t uint(std::uint64_t max);
  bool boolean();
  /// A bin or a str of at most `max_size` bytes.
  std::string_view bytes(std::size_t max_size);

  /// Marks the input as wrong, for rules that the codec alone knows.
  void fail() { ok_ = false; }
  bool ok() const { return ok_; }
  /// True when nothing went wrong and every token was read.
  bool done() const { return ok_ && next_ == tokens_.size(); }

 private:
  enum class Type : std::uint8_t { array, uint, boolean, bytes };
  struct Token {
    Type type;
    const char* data;
    std::uint64_t number;  // value, element count or byte count
  };
  class Visitor;

  const Token* take(Type type);

  std::vector<Token> tokens_;
  std::size_t next_ = 0;
  bool ok_ = false;
};

}  // namespace dkv
