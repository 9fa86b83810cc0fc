// Bytes that the connections of a server may hold at once between them, for one purpose. Who wants many
// takes a share first, and is refused when there is none: memory is bounded however many connections there
// are. Lock-free; the budget must outlive its shares.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>

namespace dkv::http {

class ByteBudget {
 public:
  /// Bytes taken, given back when it ends.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      other.release();
      return *this;
    }
    ~Share() { release(); }
    void release() {
      if (budget_) std::exchange(budget_, nullptr)->left_ += bytes_;
    }

   private:
    friend class ByteBudget;
    Share(ByteBudget& budget, std::size_t bytes) : budget_(&budget), bytes_(bytes) {}

    ByteBudget* budget_ = nullptr;
    std::size_t bytes_ = 0;
  };

  explicit ByteBudget(std::size_t bytes) : left_(bytes) {}
  /// Nothing when fewer bytes are left.
  std::optional<Share> take(std::size_t bytes) {
    auto left = left_.load();
    while (left >= bytes) {
      if (left_.compare_exchange_weak(left, left - bytes)) return Share(*this, bytes);
    }
    return std::nullopt;
  }

 private:
  std::atomic<std::size_t> left_;
};

}  // namespace dkv::http
