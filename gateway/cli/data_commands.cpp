// Commands over many keys: scan, export, import, batch.
#include <cstdio>
#include <deque>
#include <functional>
#include <iostream>
#include <unistd.h>

#include "gateway/cli/commands.hpp"
#include "gateway/http/batch.hpp"
#include "gateway/json_bytes.hpp"
#include "messages/limits.hpp"
#include "messages/pack.hpp"

namespace dkv::cli {

namespace {

/// How far long work has come, on a terminal's stderr.
class Progress {
 public:
  explicit Progress(const char* what) : what_(what), shows_(isatty(STDERR_FILENO) != 0) {}
  ~Progress() {
    if (shows_ && said_) std::fputc('\n', stderr);
  }
  void add(std::uint64_t records) {
    records_ += records;
    const auto now = std::chrono::steady_clock::now();
    if (!shows_ || now < next_) return;
    next_ = now + std::chrono::milliseconds(200);
    said_ = true;
    std::fprintf(stderr, "\r%s %llu records", what_, static_cast<unsigned long long>(records_));
  }

 private:
  const char* what_;
  bool shows_;
  bool said_ = false;
  std::uint64_t records_ = 0;
  std::chrono::steady_clock::time_point next_{};
};

/// Calls `take` with each page until that returns false or there is no more.
Result<void> for_each_page(Client& client, ScanOptions what,
                           const std::function<bool(const ScanResult&)>& take) {
  for (;;) {
    const auto page = client.scan(what);
    if (!page) return page.error();
    if (!take(*page) || page->cursor.empty()) return {};
    what.cursor = page->cursor;
  }
}

Json line_of(const rpc::ScanItem& item, bool keys_only) {
  Json json;
  set_bytes(json, "key", item.key);
  if (!keys_only) set_bytes(json, "value", item.value);
  json["version"] = to_string(item.version);
  if (item.ttl_ms != 0) json["ttl_ms"] = item.ttl_ms;
  return json;
}

void print_line(const rpc::ScanItem& item, bool keys_only, bool as_json) {
  if (as_json) {
    std::printf("%s\n", line_of(item, keys_only).dump().c_str());
    return;
  }
  std::fwrite(item.key.data(), 1, item.key.size(), stdout);
  if (!keys_only) {
    std::fputc('\t', stdout);
    std::fwrite(item.value.data(), 1, item.value.size(), stdout);
  }
  std::fputc('\n', stdout);
}

// A record in msgpack: [key: bin, value: bin, epoch: uint, seq: uint, ttl_ms: uint], one behind the other.
constexpr std::size_t kPackedFields = 5;

void print_packed(const rpc::ScanItem& item) {
  std::string bytes;
  Packer out(bytes);
  out.array(kPackedFields).bytes(item.key).bytes(item.value);
  out.uint(item.version.epoch.value).uint(item.version.seq.value).uint(item.ttl_ms);
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}

/// Puts under way: at most so many, so that memory is bounded and answers are taken in.
class Importer {
 public:
  explicit Importer(Client& client) : client_(client), progress_("imported") {}

  Result<void> add(std::string key, std::string value, Ttl ttl) {
    keys_.push_back(std::move(key));
    values_.push_back(std::move(value));
    ttls_.push_back(ttl);
    bytes_ += keys_.back().size() + values_.back().size();
    if (keys_.size() < kTogether && bytes_ < kTogetherBytes) return {};
    return flush();
  }

  Result<void> flush() {
    std::vector<Operation> puts;
    for (std::size_t i = 0; i < keys_.size(); ++i)
      puts.push_back({OpCode::put, keys_[i], values_[i], false, {}, 0, ttls_[i]});
    const auto results = client_.execute(puts);
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i].code == Errc::ok) continue;
      return Error{results[i].code, results[i].message + " (after " + std::to_string(done_ + i) +
                                        " records; importing again from the beginning is safe)"};
    }
    done_ += results.size();
    progress_.add(results.size());
    keys_.clear();
    values_.clear();
    ttls_.clear();
    bytes_ = 0;
    return {};
  }

  std::uint64_t done() const { return done_; }

 private:
  static constexpr std::size_t kTogether = 1000;
  static constexpr std::size_t kTogetherBytes = std::size_t{4} << 20;

  Client& client_;
  Progress progress_;
  std::deque<std::string> keys_;
  std::deque<std::string> values_;
  std::deque<Ttl> ttls_;
  std::size_t bytes_ = 0;
  std::uint64_t done_ = 0;
};

Result<void> import_line(Importer& importer, const std::string& line) {
  Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return Error{Errc::bad_request, "it is no JSON object"};
  auto key = take_bytes(json, "key");
  if (!key) return key.error();
  auto value = take_bytes(json, "value");
  if (!value) return value.error();
  if (!*key || !*value) return Error{Errc::bad_request, "'key' or 'value' is missing"};
  Ttl ttl;
  if (const auto left = json.find("ttl_ms"); left != json.end()) {
    if (!left->is_number_unsigned()) return Error{Errc::bad_request, "'ttl_ms' must be a number"};
    ttl = {Ttl::Kind::limited, left->get<std::uint64_t>()};
  }
  return importer.add(std::move(**key), std::move(**value), ttl);
}

std::string bytes_of(const Json& json) { return {json.get_binary().begin(), json.get_binary().end()}; }

Result<void> import_packed(Importer& importer, std::istream& in) {
  const Json record = Json::from_msgpack(in, false, false);
  const bool is_one = record.is_array() && record.size() == kPackedFields && record[0].is_binary() &&
                      record[1].is_binary() && record[4].is_number_unsigned();
  if (!is_one) return Error{Errc::bad_request, "it is no record as `export --format msgpack` writes them"};
  const auto left = record[4].get<std::uint64_t>();
  return importer.add(bytes_of(record[0]), bytes_of(record[1]),
                      left == 0 ? Ttl{} : Ttl{Ttl::Kind::limited, left});
}

/// The next of stdin's records. False: there is none.
Result<bool> import_next(Importer& importer, Format format) {
  if (format == Format::msgpack) {
    if (std::cin.peek() == std::istream::traits_type::eof()) return false;
    if (auto taken = import_packed(importer, std::cin); !taken) return taken.error();
    return true;
  }
  std::string line;
  if (!std::getline(std::cin, line)) return false;
  if (line.empty()) return true;
  if (auto taken = import_line(importer, line); !taken) return taken.error();
  return true;
}

}  // namespace

int scan(const Options& options, ScanOptions what, std::uint64_t most) {
  what.limit = static_cast<std::size_t>(std::min<std::uint64_t>(most, kMaxScanItems));
  return with_call(options, what.read, [&](Client& client, const CallOptions& call) {
    what.session = call.session;
    std::uint64_t left = most;
    const auto done = for_each_page(client, what, [&](const ScanResult& page) {
      for (const rpc::ScanItem& item : page.items) {
        if (left == 0) break;
        print_line(item, what.keys_only, options.json);
        --left;
      }
      return left > 0 && std::ferror(stdout) == 0;
    });
    return done ? kOk : report(done.error(), options.json);
  });
}

int export_records(const Options& options, ScanOptions what, Format format) {
  what.limit = kMaxScanItems;
  return with_client(options, [&](Client& client) {
    Progress progress("exported");
    const auto done = for_each_page(client, what, [&](const ScanResult& page) {
      for (const rpc::ScanItem& item : page.items) {
        if (format == Format::msgpack) {
          print_packed(item);
        } else {
          print_line(item, false, true);
        }
      }
      progress.add(page.items.size());
      return std::ferror(stdout) == 0;
    });
    return done ? kOk : report(done.error(), options.json);
  });
}

int import_records(const Options& options, Format format) {
  return with_client(options, [&](Client& client) {
    Importer importer(client);
    const std::string what = format == Format::json ? "line " : "record ";
    for (std::uint64_t number = 1;; ++number) {
      const auto more = import_next(importer, format);
      if (!more) {
        Error error = more.error();
        error.message = what + std::to_string(number) + ": " + error.message;
        return report(error, options.json);
      }
      if (!*more) break;
    }
    if (auto done = importer.flush(); !done) return report(done.error(), options.json);
    if (options.json) {
      print({{"imported", importer.done()}});
    } else {
      std::printf("imported %llu records\n", static_cast<unsigned long long>(importer.done()));
    }
    return kOk;
  });
}

int batch(const Options& options) {
  // As much as an HTTP door takes, and more: base64 is longer than what it stands for.
  const auto text = read_stdin(2 * kMaxRequestBytes);
  if (!text) return report(text.error(), options.json);
  if (text->size() > 2 * kMaxRequestBytes)
    return report({Errc::too_large, "stdin holds more than a batch can"}, options.json);
  auto request = http::read_batch(*text);
  if (!request) return report(request.error(), options.json);
  return with_call(options, request->read, [&](Client& client, const CallOptions& call) {
    http::set_once(*request, call.once);
    const auto results = client.execute_request(*request, call.session);
    std::fputs(http::batch_json(request->operations, results).c_str(), stdout);
    int code = kOk;
    for (const OperationResult& result : results) {
      // What was aborted says nothing of why.
      const bool is_reason = !is_answer(result.code) && result.code != Errc::aborted;
      if (is_reason) code = std::max(code, exit_code_of(result.code));
    }
    return code;
  });
}

}  // namespace dkv::cli
