#include "messages/unpack.hpp"

#include <msgpack/null_visitor.hpp>
#include <msgpack/parse.hpp>
#include <msgpack/unpack.hpp>

namespace dkv {

namespace {
constexpr std::size_t kMaxDepth = 16;
}

class Unpacker::Visitor : public msgpack::null_visitor {
 public:
  Visitor(std::vector<Token>& tokens, std::size_t max_tokens) : tokens_(tokens), max_tokens_(max_tokens) {}

  // A nil, a map, a float, a negative number or an extension is in no format of ours.
  bool visit_nil() { return false; }
  bool visit_negative_integer(std::int64_t) { return false; }
  bool visit_float32(float) { return false; }
  bool visit_float64(double) { return false; }
  bool visit_ext(const char*, std::uint32_t) { return false; }
  bool start_map(std::uint32_t) { return false; }

  bool visit_boolean(bool value) { return add(Type::boolean, nullptr, value ? 1 : 0); }
  bool visit_positive_integer(std::uint64_t value) { return add(Type::uint, nullptr, value); }
  bool visit_str(const char* data, std::uint32_t size) { return add(Type::bytes, data, size); }
  bool visit_bin(const char* data, std::uint32_t size) { return add(Type::bytes, data, size); }
  bool start_array(std::uint32_t count) { return ++depth_ <= kMaxDepth && add(Type::array, nullptr, count); }
  bool end_array() {
    --depth_;
    return true;
  }
  // The parser offers to keep references instead of copies; there is nothing to copy here.
  bool referenced() const { return true; }

 private:
  bool add(Type type, const char* data, std::uint64_t number) {
    if (tokens_.size() >= max_tokens_) return false;
    tokens_.push_back({type, data, number});
    return true;
  }

  std::vector<Token>& tokens_;
  std::size_t max_tokens_;
  std::size_t depth_ = 0;
};

bool Unpacker::parse(std::string_view bytes, std::size_t max_tokens) {
  tokens_.clear();
  next_ = 0;
  Visitor visitor(tokens_, max_tokens);
  std::size_t offset = 0;
  ok_ =
      !bytes.empty() && msgpack::parse(bytes.data(), bytes.size(), offset, visitor) && offset == bytes.size();
  return ok_;
}

const Unpacker::Token* Unpacker::take(Type type) {
  if (!ok_ || next_ == tokens_.size() || tokens_[next_].type != type) {
    ok_ = false;
    return nullptr;
  }
  return &tokens_[next_++];
}

std::size_t Unpacker::array() {
  const Token* token = take(Type::array);
  return token ? static_cast<std::size_t>(token->number) : 0;
}

void Unpacker::array(std::size_t count) {
  if (array() != count) ok_ = false;
}

std::uint64_t Unpacker::uint() {
  const Token* token = take(Type::uint);
  return token ? token->number : 0;
}

std::uint64_t Unpacker::uint(std::uint64_t max) {
  const std::uint64_t value = uint();
  if (value <= max) return value;
  ok_ = false;
  return 0;
}

bool Unpacker::boolean() {
  const Token* token = take(Type::boolean);
  return token != nullptr && token->number != 0;
}

std::string_view Unpacker::bytes(std::size_t max_size) {
  const Token* token = take(Type::bytes);
  if (token == nullptr) return {};
  if (token->number > max_size) {
    ok_ = false;
    return {};
  }
  return {token->data, static_cast<std::size_t>(token->number)};
}

}  // namespace dkv
