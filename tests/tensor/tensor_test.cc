#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace fathom {
namespace {

// 0, 1, 2, ... in a contiguous f32 tensor of any shape.
class TensorTest : public ::testing::Test {
 protected:
  Tensor Counting(const Shape& shape) {
    storage_.resize(static_cast<size_t>(shape.elements()));
    std::iota(storage_.begin(), storage_.end(), 0.0f);
    return {storage_.data(), DType::kF32, shape};
  }
  // The elements of a view in order, read through its strides.
  static std::vector<float> Read(const ConstTensor& x, int dim = 0, int64_t offset = 0) {
    if (dim == x.rank()) return {x.data<float>()[offset]};
    std::vector<float> values;
    for (int64_t i = 0; i < x.dim(dim); ++i) {
      for (const float value : Read(x, dim + 1, offset + i * x.stride(dim))) {
        values.push_back(value);
      }
    }
    return values;
  }

  std::vector<float> storage_;
};

TEST(Shape, ElementsAndText) {
  EXPECT_EQ(Shape({2, 3, 4}).elements(), 24);
  EXPECT_EQ(Shape({5, 0}).elements(), 0);
  EXPECT_EQ(Shape().elements(), 1);
  EXPECT_EQ(Shape({2, 3}).ToString(), "[2, 3]");
  EXPECT_TRUE(Shape({2, 3}) == Shape({2, 3}));
  EXPECT_FALSE(Shape({2, 3}) == Shape({3, 2}));
  EXPECT_FALSE(Shape({2}) == Shape({2, 1}));
}

TEST_F(TensorTest, AWholeTensorIsContiguous) {
  const Tensor x = Counting({2, 3, 4});
  EXPECT_EQ(x.stride(0), 12);
  EXPECT_EQ(x.stride(1), 4);
  EXPECT_EQ(x.stride(2), 1);
  EXPECT_TRUE(x.contiguous());
  EXPECT_EQ(x.bytes(), 96);
  EXPECT_EQ(x.span<float>().size(), 24u);
  EXPECT_FALSE(x.empty());
  EXPECT_TRUE(Tensor().empty());
}

TEST_F(TensorTest, RowsColumnsAndSlices) {
  const Tensor x = Counting({4, 5});
  EXPECT_EQ(Read(x.Rows(1, 3)), (std::vector<float>{5, 6, 7, 8, 9, 10, 11, 12, 13, 14}));
  EXPECT_TRUE(x.Rows(1, 3).contiguous());
  EXPECT_EQ(Read(x.Columns(3, 5)), (std::vector<float>{3, 4, 8, 9, 13, 14, 18, 19}));
  EXPECT_FALSE(x.Columns(3, 5).contiguous());
  EXPECT_EQ(Read(x.Rows(2, 4).Columns(1, 2)), (std::vector<float>{11, 16}));
  EXPECT_TRUE(x.Rows(2, 3).Columns(1, 4).contiguous());  // one row: nothing to jump over
  EXPECT_EQ(x.Rows(2, 2).elements(), 0);
  const Tensor cube = Counting({2, 3, 2});
  EXPECT_EQ(Read(cube.Slice(1, 1, 3)), (std::vector<float>{2, 3, 4, 5, 8, 9, 10, 11}));
}

TEST_F(TensorTest, SelectTakesOneHead) {
  const Tensor x = Counting({2, 3, 2});
  const Tensor head = x.Select(1, 2);
  EXPECT_EQ(head.shape(), Shape({2, 2}));
  EXPECT_EQ(Read(head), (std::vector<float>{4, 5, 10, 11}));
  EXPECT_EQ(Read(x.Select(0, 1)), (std::vector<float>{6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(Read(x.Select(0, 1).Select(0, 1)), (std::vector<float>{8, 9}));
}

TEST_F(TensorTest, SplitLastWorksOnStridedRows) {
  // Columns 1 .. 5 of six: two heads of two, rows six apart.
  const Tensor heads = Counting({2, 6}).Columns(1, 5).SplitLast(2, 2);
  EXPECT_EQ(heads.shape(), Shape({2, 2, 2}));
  EXPECT_EQ(heads.stride(0), 6);
  EXPECT_EQ(heads.stride(1), 2);
  EXPECT_EQ(Read(heads), (std::vector<float>{1, 2, 3, 4, 7, 8, 9, 10}));
  EXPECT_EQ(Read(heads.Select(1, 1)), (std::vector<float>{3, 4, 9, 10}));
}

TEST_F(TensorTest, ReshapeKeepsTheOrder) {
  const Tensor x = Counting({2, 6});
  EXPECT_EQ(Read(x.Reshape({3, 4}).Rows(1, 2)), (std::vector<float>{4, 5, 6, 7}));
  EXPECT_EQ(x.Rows(1, 2).Reshape({6}).rank(), 1);
}

TEST_F(TensorTest, BroadcastRepeatsAlongANewDimension) {
  const Tensor x = Counting({2, 3});
  const ConstTensor middle = x.Columns(1, 3).Broadcast(1, 2);
  EXPECT_EQ(middle.shape(), Shape({2, 2, 2}));
  EXPECT_EQ(Read(middle), (std::vector<float>{1, 2, 1, 2, 4, 5, 4, 5}));
  EXPECT_FALSE(middle.contiguous());
  EXPECT_EQ(Read(x.Broadcast(0, 2)), (std::vector<float>{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(Read(middle.Select(1, 1)), Read(x.Columns(1, 3)));
}

TEST_F(TensorTest, AViewWritesWhereItLooks) {
  const Tensor x = Counting({2, 3, 2});
  x.Select(1, 1).Rows(1, 2).span<float>()[0] = -1;
  EXPECT_EQ(storage_[8], -1);
}

using TensorDeathTest = TensorTest;

TEST_F(TensorDeathTest, MisuseStopsTheProgram) {
  const Tensor x = Counting({4, 6});
  EXPECT_DEATH(x.Rows(3, 5), "\\[3, 5\\) of 0 in \\[4, 6\\]");
  EXPECT_DEATH(x.Rows(-1, 2), "");
  EXPECT_DEATH(x.Rows(3, 2), "");
  EXPECT_DEATH(x.Slice(2, 0, 1), "");
  EXPECT_DEATH(x.Select(1, 0), "last dimension");
  EXPECT_DEATH(x.Select(0, 4), "");
  EXPECT_DEATH(x.SplitLast(2, 2), "into 2 x 2");
  EXPECT_DEATH(x.Reshape({5, 5}), "");
  EXPECT_DEATH(x.Columns(0, 3).Reshape({12}), "");
  EXPECT_DEATH(x.Columns(0, 3).span<float>(), "contiguous");
  EXPECT_DEATH(x.data<double>(), "asked f32 for f64");
  EXPECT_DEATH(Shape({-1}), "");
  EXPECT_DEATH(Counting({1, 1, 1, 2}).SplitLast(1, 2), "");
}

}  // namespace
}  // namespace fathom
