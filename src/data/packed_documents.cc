#include "data/packed_documents.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "data/permutation.h"

namespace fathom {
namespace {

constexpr uint64_t kOrderStreams = 0x7366746f72646572;
constexpr uint64_t kShareStreams = 0x7366747368617265;
// More rows under way waste less room and take longer to search.
constexpr size_t kRowsUnderWay = 64;

}  // namespace

PackedDocuments::PackedDocuments(const DocumentLayout& layout,
                                 const std::vector<PackedSource>& sources,
                                 const PackedDocumentsOptions& options, uint64_t pass,
                                 uint64_t most_tokens)
    : layout_(layout), sources_(sources), length_(options.sequence_length) {
  const uint64_t key = MixKey(MixKey(options.seed, kOrderStreams), pass);
  std::vector<Item> pool;
  for (size_t s = 0; s < sources.size(); ++s) {
    RandomStream share(MixKey(MixKey(key, kShareStreams), s));
    const double whole = std::floor(sources[s].weight);
    for (uint64_t i = 0; i < sources[s].store->documents(); ++i) {
      const bool once_more = share.NextUniform() < sources[s].weight - whole;
      const auto times = static_cast<int>(whole) + (once_more ? 1 : 0);
      for (int k = 0; k < times; ++k) pool.push_back({static_cast<uint32_t>(s), i});
    }
  }
  struct Row {
    int64_t room;
    std::vector<Item> items;
  };
  std::vector<Row> under_way;
  const auto close = [&](std::vector<Row>::iterator row) {
    items_.insert(items_.end(), row->items.begin(), row->items.end());
    row_ends_.push_back(items_.size());
    under_way.erase(row);
  };
  const auto by_room = [](const Row& a, const Row& b) { return a.room < b.room; };
  uint64_t tokens = 0;
  const Permutation order(std::max<uint64_t>(1, pool.size()), key);
  for (uint64_t i = 0; i < pool.size(); ++i) {
    if (most_tokens > 0 && tokens >= most_tokens) break;
    const Item item = pool[order(i)];
    const int64_t inputs = InputsOf(item);
    FATHOM_CHECK(inputs >= 1 && inputs <= length_);
    tokens += sources[item.source].store->DocumentTokens(item.index);
    inputs_ += static_cast<uint64_t>(inputs);
    auto best = under_way.end();
    for (auto row = under_way.begin(); row != under_way.end(); ++row) {
      if (row->room >= inputs && (best == under_way.end() || row->room < best->room)) best = row;
    }
    if (best == under_way.end()) {
      if (under_way.size() == kRowsUnderWay)
        close(std::min_element(under_way.begin(), under_way.end(), by_room));
      best = under_way.insert(under_way.end(), {.room = length_, .items = {}});
    }
    best->items.push_back(item);
    best->room -= inputs;
    if (best->room == 0) close(best);
  }
  while (!under_way.empty()) close(under_way.begin());
}

int64_t PackedDocuments::InputsOf(const Item& item) const {
  return static_cast<int64_t>(sources_[item.source].store->DocumentTokens(item.index)) -
         layout_.extra_tokens();
}

double PackedDocuments::filled() const {
  return row_ends_.empty() ? 0
                           : static_cast<double>(inputs_) / static_cast<double>(rows() * length_);
}

void PackedDocuments::ReadRow(int64_t row, int64_t into, TokenRows& batch) const {
  const auto place = static_cast<size_t>(row);
  const size_t begin = row == 0 ? 0 : row_ends_[place - 1];
  int64_t column = 0;
  for (size_t k = begin; k < row_ends_[place]; ++k) {
    layout_.Put(*sources_[items_[k].source].store, items_[k].index, into, column, batch);
    column += InputsOf(items_[k]);
  }
  if (column < length_)
    batch.segments.push_back({.row = into, .begin = column, .length = length_ - column});
}

PackedDocumentRows::PackedDocumentRows(const DocumentLayout& layout,
                                       std::vector<PackedSource> sources,
                                       const PackedDocumentsOptions& options)
    : layout_(layout), sources_(std::move(sources)), options_(options) {
  if (Pass(0).rows() == 0) {
    throw Error("data.source", "the weights leave nothing to train on", "give larger weights");
  }
}

const PackedDocuments& PackedDocumentRows::Pass(uint64_t pass) {
  if (!packed_ || pass_ != pass) {
    packed_.emplace(layout_, sources_, options_, pass);
    pass_ = pass;
  }
  return *packed_;
}

uint64_t PackedDocumentRows::RowsOf(uint64_t passes) {
  while (pass_ends_.size() < passes) {
    const uint64_t before = pass_ends_.empty() ? 0 : pass_ends_.back();
    pass_ends_.push_back(before + static_cast<uint64_t>(Pass(pass_ends_.size()).rows()));
  }
  return passes == 0 ? 0 : pass_ends_[passes - 1];
}

int64_t PackedDocumentRows::StepsOf(double epochs, int64_t batch_rows) {
  const double whole = std::floor(epochs);
  const auto passes = static_cast<uint64_t>(whole);
  const auto before = static_cast<double>(RowsOf(passes));
  const auto next = static_cast<double>(RowsOf(passes + 1)) - before;
  const double wanted = before + (epochs - whole) * next;
  return std::max<int64_t>(1, std::llround(wanted / static_cast<double>(batch_rows)));
}

double PackedDocumentRows::EpochsOf(int64_t steps, int64_t batch_rows) {
  return static_cast<double>(steps) * static_cast<double>(batch_rows) /
         static_cast<double>(RowsOf(1));
}

void PackedDocumentRows::Read(uint64_t first, int64_t count, TokenRows& batch) {
  batch.Reset(count, options_.sequence_length, options_.depth);
  uint64_t pass = 0;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t row = first + static_cast<uint64_t>(i);
    while (RowsOf(pass + 1) <= row) ++pass;
    Pass(pass).ReadRow(static_cast<int64_t>(row - RowsOf(pass)), i, batch);
  }
}

uint64_t PackedDocumentRows::Fingerprint() const {
  Hash64 hash;
  hash.UpdateField(static_cast<uint64_t>(options_.sequence_length));
  hash.UpdateField(static_cast<uint64_t>(options_.depth));
  hash.UpdateField(options_.seed);
  for (const PackedSource& source : sources_) {
    hash.UpdateField(source.store->summary().token_hash);
    hash.UpdateField(source.store->summary().table_hash);
    hash.Update(&source.weight, sizeof(source.weight));
  }
  return hash.Digest();
}

}  // namespace fathom
